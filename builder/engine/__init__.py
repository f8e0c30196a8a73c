"""Containers. The only package that talks to the container engine."""
