"""The doors for what comes from outside: names and hashes, text, and bytes of an index, a package or a container."""
