"""Plans what threads do with a package, and lets them do it."""
