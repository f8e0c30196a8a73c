"""The way of containers to the package index."""
