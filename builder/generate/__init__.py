"""Files of the repository that are generated: documents by `make docs`, tables by `make interfaces`."""
