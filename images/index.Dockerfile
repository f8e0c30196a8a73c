# What the farm's index proxy runs in: a verification image with the index cache (images/index-tools.txt).
ARG VERIFY
FROM ${VERIFY}
COPY index-tools.txt /opt/wheelfarm/
# CA, proxies and index of the host, for this step alone.
ARG HOST_ENVIRONMENT
ARG PYTHON
RUN "${PYTHON}" -m venv --without-pip /opt/wheelfarm/index \
 && eval env "${HOST_ENVIRONMENT}" uv pip install --quiet --no-cache --link-mode copy --only-binary :all: \
      --python /opt/wheelfarm/index/bin/python --require-hashes -r /opt/wheelfarm/index-tools.txt
