#!/bin/sh
# The start-up command of Azure App Service on Linux: sh startup.sh gunicorn --bind 0.0.0.0:8000 shop:app
#
# It lies in the root of the deployment, beside start.py, requirements.txt (the lock) and venvs/NAME for each runtime.
#
#   START_RUNTIMES   names of runtimes, the preferred one first; default: 3.14t 3.14
#   START_VENVS      folder of the virtual environments; default: venvs beside this file
#   START_TIMEOUT_S  longest time that one runtime is examined for; default: 60
#
# Exit codes are those of start.py; 64 where no command is given.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
venvs=${START_VENVS:-$here/venvs}

if [ "$#" -eq 0 ]; then
  echo "startup.sh: expected the command of the service" >&2
  exit 64
fi

# Options are put before what is there, so that the last runtime comes first here.
reversed=""
for name in ${START_RUNTIMES:-3.14t 3.14}; do
  reversed="$name $reversed"
done

set -- -- "$@"
for name in $reversed; do
  set -- --runtime "$name=$venvs/$name/bin/python" "$@"
  case $name in
    *t) set -- --without-gil "$name" "$@" ;;
  esac
done

cd "$here"
exec "${START_PYTHON:-python3}" "$here/start.py" --lock "$here/requirements.txt" \
  --timeout-s "${START_TIMEOUT_S:-60}" "$@"
