#!/bin/sh
# Make the virtual environment from the pinned requirements. Usage: make-venv.sh PYTHON FOLDER
set -eu
python=$1 venv=$2
here=$(dirname "$0")

command -v "$python" >/dev/null || { echo "wheelfarm: there is no $python; install Python 3.11 or newer, or name one: make PYTHON=…" >&2; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "wheelfarm: $($python --version) is too old; Python 3.11 or newer is needed. Name one: make PYTHON=python3.12" >&2
  exit 1
}
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  # Debian and Ubuntu package it apart from python3.
  package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "wheelfarm: installing $package from this system's archive, to make a virtual environment"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" ca-certificates >/dev/null
  else
    echo "wheelfarm: this Python cannot make virtual environments. Run: sudo apt-get install $package" >&2
    exit 1
  fi
fi

echo "wheelfarm: making the virtual environment $venv"
rm -rf "$venv"
"$python" -m venv "$venv"
# --no-deps: every requirement is pinned there; some versions of pip would look for a newer release of one that another
# requires with an extra.
# -qq: errors alone. A warning for each package about an index that lacks it would bury what is said next.
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r "$here/farm.txt"
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable "$here/.."
