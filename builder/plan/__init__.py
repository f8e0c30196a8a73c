"""Matrix and sources -> a graph of jobs, and in which order they run."""
