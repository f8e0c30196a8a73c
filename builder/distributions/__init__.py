"""Files of sdists and wheels: names, tags, metadata, members."""
