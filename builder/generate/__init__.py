"""Generated documents and tables: `make docs`, `make interfaces`."""
