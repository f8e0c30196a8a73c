# Where data races are looked for: a builder with the sanitizer's compiler, and the interpreter compiled with it.
ARG BUILDER
ARG RACE_INTERPRETER
FROM ${RACE_INTERPRETER} AS interpreter

FROM ${BUILDER}
ARG COMPILER
RUN apt-get update \
 && apt-get install -y --no-install-recommends ${COMPILER} \
 && rm -rf /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man/*
COPY --from=interpreter /opt/race /opt/race
COPY race-tree.sh keep-symbols.sh canary.c stores.c /opt/race/
ARG PLAIN
RUN sh /opt/race/race-tree.sh /opt/python/${PLAIN}
# Not useradd: the smallest bases lack it, and some already have a user 1000.
RUN echo 'farm:x:4242:4242::/home/farm:/bin/sh' >> /etc/passwd && echo 'farm:x:4242:' >> /etc/group \
 && mkdir /home/farm && chown 4242:4242 /home/farm && mkdir -m 0777 /result
