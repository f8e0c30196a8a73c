# cython: language_level=3, freethreading_compatible=True
"""Tallies that grow from all sides."""


cdef class Tally:
    """Tally(): entries in the order in which they came.

    All that changes it is done by the list itself, which takes its lock. `+=` stores the list that is there already.
    """

    cdef list _entries

    def __cinit__(self):
        self._entries = []

    def extend(self, entries):
        """Add entries at the end."""
        self._entries += list(entries)

    def copy(self):
        """Return the entries as a list."""
        return list(self._entries)

    def count(self, entry):
        """Return how often an entry came."""
        return self._entries.count(entry)

    def __contains__(self, entry):
        return entry in self._entries

    def __len__(self):
        return len(self._entries)
