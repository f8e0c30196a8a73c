"""A package's own tests and examples: recorded, selected, and their native calls made by threads."""
