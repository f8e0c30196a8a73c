# cython: language_level=3
# cython: freethreading_compatible=True
"""A deque of floats."""

cimport cython
from libc.stdlib cimport free, malloc


cdef class Deque:
    """Floats, added and removed at both ends."""

    cdef double *items
    cdef Py_ssize_t room
    cdef Py_ssize_t head
    cdef Py_ssize_t used

    def __cinit__(self, Py_ssize_t room=4):
        if room < 1:
            raise ValueError("room must be positive")
        self.items = <double *>malloc(room * sizeof(double))
        if self.items == NULL:
            raise MemoryError
        self.room = room
        self.head = 0
        self.used = 0

    def __dealloc__(self):
        free(self.items)

    cdef int grow(self) except -1:
        cdef double *items = <double *>malloc(2 * self.room * sizeof(double))
        cdef Py_ssize_t i
        if items == NULL:
            raise MemoryError
        for i in range(self.used):
            items[i] = self.items[(self.head + i) % self.room]
        free(self.items)
        self.items = items
        self.head = 0
        self.room *= 2
        return 0

    @cython.critical_section
    def append(self, double value):
        """Add at the right end."""
        if self.used == self.room:
            self.grow()
        self.items[(self.head + self.used) % self.room] = value
        self.used += 1

    @cython.critical_section
    def popleft(self):
        """Remove and return the item at the left end."""
        cdef double value
        if self.used == 0:
            raise IndexError("pop from an empty deque")
        value = self.items[self.head]
        self.head = (self.head + 1) % self.room
        self.used -= 1
        return value

    def total(self):
        """Sum of all items."""
        cdef double result = 0
        cdef Py_ssize_t i
        with cython.critical_section(self):
            for i in range(self.used):
                result += self.items[(self.head + i) % self.room]
        return result

    @cython.critical_section
    def __len__(self):
        return self.used
