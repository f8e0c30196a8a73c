# CPython compiled with ThreadSanitizer: its program and its extension modules, and nothing else. Everything that is not
# machine code is the same as in the plain free-threaded interpreter, beside which the race image puts these files.
ARG BASE
FROM ${BASE} AS compiled
ENV DEBIAN_FRONTEND=noninteractive
# The sanitizer's compiler, and its runtime.
ARG COMPILER
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      ${COMPILER} make patch pkg-config xz-utils libc6-dev \
      libbz2-dev libffi-dev liblzma-dev libncursesw5-dev libreadline-dev libsqlite3-dev libssl-dev libzstd-dev uuid-dev zlib1g-dev \
 && rm -rf /var/lib/apt/lists/*
COPY build-race-interpreter.sh freed-memory.patch source.tar.xz /build/
ARG OPTIONS
RUN sh /build/build-race-interpreter.sh /build/source.tar.xz /build/freed-memory.patch /opt/race ${OPTIONS}

FROM scratch
COPY --from=compiled /opt/race /opt/race
