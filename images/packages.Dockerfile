# A builder with the system packages that one package of the matrix asks for.
ARG BUILDER
FROM ${BUILDER}
ARG PACKAGES
RUN apt-get update && apt-get install -y --no-install-recommends ${PACKAGES} && rm -rf /var/lib/apt/lists/*
