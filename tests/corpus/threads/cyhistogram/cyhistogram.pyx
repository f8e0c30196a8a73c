# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False
"""Byte frequencies and entropy."""

from libc.math cimport log2
from libc.string cimport memset

cdef long counts[256]


cdef void tally(const unsigned char *data, Py_ssize_t length) noexcept nogil:
    cdef Py_ssize_t i
    memset(counts, 0, sizeof(counts))
    for i in range(length):
        counts[data[i]] += 1


def entropy(bytes data not None):
    """Bits of information per byte of data, between 0 and 8."""
    cdef const unsigned char *start = data
    cdef Py_ssize_t length = len(data)
    cdef double bits = 0, share
    cdef int i
    if length == 0:
        return 0.0
    with nogil:
        tally(start, length)
        for i in range(256):
            if counts[i]:
                share = counts[i] / <double>length
                bits -= share * log2(share)
    return bits


def frequencies(bytes data not None):
    """How often each byte value occurs, as a list of 256 numbers."""
    cdef const unsigned char *start = data
    cdef int i
    tally(start, len(data))
    return [counts[i] for i in range(256)]


def most_frequent(bytes data not None):
    """The byte value that occurs most often, the lowest of equals."""
    cdef int i, best = 0
    numbers = frequencies(data)
    for i in range(256):
        if numbers[i] > numbers[best]:
            best = i
    return best
