"""Doubling, natively; import willow._bark or willow._leaf."""
