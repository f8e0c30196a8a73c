# cython: language_level=3, freethreading_compatible=True, cdivision=True
"""Histograms with equal bins."""

cimport cython
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy


cdef class Histogram:
    """Counts of values between low and high."""

    cdef cython.pymutex mutex
    cdef long *counts
    cdef long outside
    cdef readonly int bins
    cdef readonly double low
    cdef readonly double high

    def __cinit__(self, double low, double high, int bins=10):
        if not low < high:
            raise ValueError("low must be less than high")
        if bins < 1 or bins > 65536:
            raise ValueError("bins must be between 1 and 65536")
        self.counts = <long *>calloc(bins, sizeof(long))
        if self.counts == NULL:
            raise MemoryError
        self.low = low
        self.high = high
        self.bins = bins

    def __dealloc__(self):
        free(self.counts)

    def add(self, double value, long times=1):
        """Count a value."""
        cdef int at
        if times < 1:
            raise ValueError("times must be positive")
        with self.mutex:
            if self.low <= value < self.high:
                at = <int>((value - self.low) / (self.high - self.low) * self.bins)
                self.counts[min(at, self.bins - 1)] += times
            else:
                self.outside += times

    def counted(self):
        """Counts per bin, and how many values were outside."""
        cdef int i
        cdef long outside
        cdef long *copy = <long *>calloc(self.bins, sizeof(long))
        if copy == NULL:
            raise MemoryError
        with self.mutex:
            memcpy(copy, self.counts, self.bins * sizeof(long))
            outside = self.outside
        try:
            return [copy[i] for i in range(self.bins)], outside
        finally:
            free(copy)

    def clear(self):
        """Start again."""
        cdef int i
        with self.mutex:
            for i in range(self.bins):
                self.counts[i] = 0
            self.outside = 0
