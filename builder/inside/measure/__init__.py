"""Programs that measure what an application does: how long it takes, and what memory and CPU time it needs."""
