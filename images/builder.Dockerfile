# What a build runs in: compilers and a cache for them, the interpreters in the manylinux layout, and the tools cibuildwheel looks for.
ARG BASE
ARG INTERPRETERS_IMAGE
FROM ${INTERPRETERS_IMAGE} AS interpreters

FROM ${BASE}
ENV DEBIAN_FRONTEND=noninteractive
ARG RUNTIME
RUN apt-get update \
 && apt-get install -y --no-install-recommends build-essential ccache patch pkg-config ${RUNTIME} \
 && rm -rf /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man/* /usr/share/locale/*
COPY --from=interpreters /opt/python /opt/python
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY builder-tools.txt install-tools.sh /opt/wheelfarm/
# CA, proxies and index of the host, for this step alone.
ARG HOST_ENVIRONMENT
RUN eval env "${HOST_ENVIRONMENT}" sh /opt/wheelfarm/install-tools.sh
COPY limits.sh compiler.sh /opt/wheelfarm/
RUN mkdir /opt/wheelfarm/compilers \
 && for link in /usr/lib/ccache/*; do ln -s /opt/wheelfarm/compiler.sh "/opt/wheelfarm/compilers/${link##*/}"; done
ENTRYPOINT ["/opt/wheelfarm/limits.sh"]
CMD ["/bin/bash"]
