"""A distribution under test: how it is installed, and its sdist unpacked."""
