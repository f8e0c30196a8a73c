"""Documents that programs read: verdicts.json, and what commands print as JSON."""
