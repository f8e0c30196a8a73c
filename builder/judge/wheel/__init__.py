"""Facts of one wheel -> findings."""
