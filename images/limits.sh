#!/bin/sh
# Run a command, then say on standard error which of the container's limits it met, as the kernel counts, and how often
# the compiler cache had what was compiled, as ccache counts.
# Control groups version 1 and 2 name the counters differently.
"$@"
status=$?
counter() { # counter FILE NAME
  [ -r "$1" ] && while read -r name value; do [ "$name" = "$2" ] && echo "$value"; done < "$1"
}
group=/sys/fs/cgroup
processes=$(counter $group/pids/pids.events max || counter $group/pids.events max)
kills=$(counter $group/memory/memory.oom_control oom_kill || counter $group/memory.events oom_kill)
for file in $group/memory/memory.max_usage_in_bytes $group/memory.peak; do
  [ -r $file ] && read -r peak < $file
done
echo "wheelfarm-limits: processes-refused=${processes:-0} memory-kills=${kills:-0} memory-peak-bytes=${peak:-0}" >&2
if [ -r "${CCACHE_STATSLOG:-}" ]; then
  hits=$(grep -c -E '^(direct|preprocessed)_cache_hit$' "$CCACHE_STATSLOG")
  misses=$(grep -c '^cache_miss$' "$CCACHE_STATSLOG")
  echo "wheelfarm-compiler-cache: hits=$hits misses=$misses" >&2
fi
exit $status
