# What wheels are imported in: a plain release, the interpreters and what they load, no compiler, no root.
ARG BASE
ARG INTERPRETERS_IMAGE
FROM ${INTERPRETERS_IMAGE} AS interpreters

# What delays threads at yield points: the image itself has no compiler.
FROM ${BASE} AS compiled
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
COPY schedule.c /build/
# -fexceptions: exceptions of C++ pass through its functions.
RUN gcc -O2 -Wall -fPIC -shared -fexceptions /build/schedule.c -o /build/schedule.so -ldl

FROM ${BASE}
ENV DEBIAN_FRONTEND=noninteractive
ARG RUNTIME
RUN apt-get update \
 && apt-get install -y --no-install-recommends ${RUNTIME} \
 && rm -rf /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man/* /usr/share/locale/*
COPY --from=interpreters /opt/python /opt/python
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY verify-tools.txt /opt/wheelfarm/
# CA, proxies and index of the host, for this step alone.
ARG HOST_ENVIRONMENT
RUN set -- /opt/python/*/bin/python \
 && eval env "${HOST_ENVIRONMENT}" "$1" -m pip install --quiet --no-cache-dir --disable-pip-version-check \
      --require-hashes --target /opt/wheelfarm/tools -r /opt/wheelfarm/verify-tools.txt \
 && mv /opt/wheelfarm/tools/bin/uv /usr/local/bin/uv && rm -rf /opt/wheelfarm/tools
# Not useradd: the smallest bases lack it, and some already have a user 1000.
RUN echo 'farm:x:4242:4242::/home/farm:/bin/sh' >> /etc/passwd && echo 'farm:x:4242:' >> /etc/group \
 && mkdir /home/farm && chown 4242:4242 /home/farm
RUN mkdir -m 0777 /result
COPY limits.sh /opt/wheelfarm/limits.sh
COPY --from=compiled /build/schedule.so /opt/wheelfarm/schedule.so
ENTRYPOINT ["/opt/wheelfarm/limits.sh"]
CMD ["/bin/bash"]
