"""Verdicts -> what people and machines read."""
