"""Alerts: who is told that a night made something worse, one module per kind of target."""
