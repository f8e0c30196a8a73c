"""Programs that run inside containers: standard library only, and nothing of `builder`."""
