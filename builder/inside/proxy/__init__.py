"""Programs of the farm's index proxy."""
