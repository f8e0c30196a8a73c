# What is measured in: what wheels are imported in, the interpreters to compare with, and what puts a web service under
# load.
ARG VERIFY
ARG INTERPRETERS_IMAGE
FROM ${INTERPRETERS_IMAGE} AS interpreters

FROM ${VERIFY}
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update && apt-get install -y --no-install-recommends hey && rm -rf /var/lib/apt/lists/*
COPY --from=interpreters /opt/python /opt/python
