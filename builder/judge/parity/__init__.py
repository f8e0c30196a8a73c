"""What differs between bases for what is installed there. Pure."""
