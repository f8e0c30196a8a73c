"""Programs that show a fault again, and what it needs to show."""
