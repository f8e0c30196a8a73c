"""Hostile packages, index answers, answers of containers and shards of our own: one attack each, an honest package beside them.

To add an attack, add an `Attack` to the list of a module of attacks/ (attack.py says what its fields are); the tests, the
table and `make test-hostile` find it there. docs/hostile.md explains the groups.
"""
