"""What a package offers to be called, and the values and expressions that call it."""
