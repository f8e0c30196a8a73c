"""Installs what an application locks, imports all of it and runs its commands."""
