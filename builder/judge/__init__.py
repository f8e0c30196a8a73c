"""Facts -> findings -> verdicts. Pure."""
