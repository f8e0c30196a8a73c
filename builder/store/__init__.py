"""Evidence by key, files by hash, and the ledger of runs and publications."""
