"""Reports of ThreadSanitizer, and which functions of a package they blame."""
