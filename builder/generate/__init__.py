"""Files of the repository that are generated from the code: `make docs`."""
