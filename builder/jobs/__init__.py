"""Jobs: typed inputs -> key, run -> evidence. A job knows nothing of other jobs."""
