# The interpreters, in the manylinux layout, and nothing else: other images copy /opt/python from this one.
# No PGO: the farm asks whether a wheel works, and a profile-guided build takes six times as long.
ARG BASE
FROM ${BASE} AS toolchain
ENV DEBIAN_FRONTEND=noninteractive
ARG PACKAGES=""
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      build-essential pkg-config xz-utils \
      libbz2-dev libffi-dev liblzma-dev libncursesw5-dev libreadline-dev libsqlite3-dev libssl-dev libzstd-dev uuid-dev zlib1g-dev \
      ${PACKAGES} \
 && rm -rf /var/lib/apt/lists/*

FROM toolchain AS compiled
COPY build-interpreter.sh /build/
COPY sources /build/sources
# One line "RELEASE DIRECTORY CONFIGURE-OPTIONS…" per interpreter.
ARG INTERPRETERS
RUN echo "${INTERPRETERS}" | while read -r release directory options; do \
      sh /build/build-interpreter.sh "/build/sources/${release}.tar.xz" "/opt/python/${directory}" ${options} || exit 1; \
    done

FROM scratch
COPY --from=compiled /opt/python /opt/python
