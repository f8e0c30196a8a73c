# cython: language_level=3, freethreading_compatible=True, embedsignature=True
"""A heap of jobs by priority."""

from libc.stdlib cimport free, malloc, realloc


cdef struct Job:
    double priority
    long number


cdef class Heap:
    """Jobs, the lowest priority first."""

    cdef Job *jobs
    cdef Py_ssize_t used
    cdef Py_ssize_t room

    def __cinit__(self, Py_ssize_t room=8):
        if room < 1:
            raise ValueError("room must be positive")
        self.jobs = <Job *>malloc(room * sizeof(Job))
        if self.jobs == NULL:
            raise MemoryError
        self.room = room
        self.used = 0

    def __dealloc__(self):
        free(self.jobs)

    def __len__(self):
        return self.used

    cdef int reserve(self) except -1:
        cdef Job *jobs
        if self.used == self.room:
            jobs = <Job *>realloc(self.jobs, 2 * self.room * sizeof(Job))
            if jobs == NULL:
                raise MemoryError
            self.jobs = jobs
            self.room *= 2
        return 0

    cpdef int push(self, double priority, long number) except -1:
        """Add a job."""
        cdef Py_ssize_t at, parent
        self.reserve()
        at = self.used
        self.used += 1
        while at > 0:
            parent = (at - 1) // 2
            if self.jobs[parent].priority <= priority:
                break
            self.jobs[at] = self.jobs[parent]
            at = parent
        self.jobs[at].priority = priority
        self.jobs[at].number = number
        return 0

    cpdef tuple pop(self):
        """Remove and return the first job as (priority, number)."""
        cdef Job first, last
        cdef Py_ssize_t at = 0, child
        if self.used == 0:
            raise IndexError("pop from an empty heap")
        first = self.jobs[0]
        self.used -= 1
        last = self.jobs[self.used]
        while 2 * at + 1 < self.used:
            child = 2 * at + 1
            if child + 1 < self.used and self.jobs[child + 1].priority < self.jobs[child].priority:
                child += 1
            if last.priority <= self.jobs[child].priority:
                break
            self.jobs[at] = self.jobs[child]
            at = child
        self.jobs[at] = last
        return first.priority, first.number
