# cython: language_level=3
# distutils: language = c++
"""A trie of byte strings."""

from libcpp.vector cimport vector

cdef struct Node:
    int first_child
    int next_sibling
    long value
    unsigned char letter
    bint final


cdef class Trie:
    """Maps byte strings to integers; finds prefixes."""

    cdef vector[Node] nodes
    cdef Py_ssize_t keys

    def __cinit__(self):
        self.nodes.push_back(Node(-1, -1, 0, 0, False))
        self.keys = 0

    cdef int child(self, int at, unsigned char letter) noexcept nogil:
        cdef int found = self.nodes[at].first_child
        while found != -1 and self.nodes[found].letter != letter:
            found = self.nodes[found].next_sibling
        return found

    cdef int descend(self, const unsigned char[:] key) noexcept nogil:
        cdef int at = 0
        cdef Py_ssize_t i
        for i in range(key.shape[0]):
            at = self.child(at, key[i])
            if at == -1:
                break
        return at

    def insert(self, const unsigned char[:] key not None, long value):
        """Set the value of a key; True if it is new."""
        cdef int at = 0, following
        cdef Py_ssize_t i
        cdef bint new
        cdef Node node
        for i in range(key.shape[0]):
            following = self.child(at, key[i])
            if following == -1:
                node = Node(-1, self.nodes[at].first_child, 0, key[i], False)
                following = <int>self.nodes.size()
                self.nodes.push_back(node)
                self.nodes[at].first_child = following
            at = following
        new = not self.nodes[at].final
        self.nodes[at].final = True
        self.nodes[at].value = value
        self.keys += new
        return bool(new)

    def longest_prefix(self, const unsigned char[:] text not None):
        """Length of the longest key that text begins with, or -1."""
        cdef int at = 0
        cdef Py_ssize_t i, best = 0 if self.nodes[0].final else -1
        for i in range(text.shape[0]):
            at = self.child(at, text[i])
            if at == -1:
                break
            if self.nodes[at].final:
                best = i + 1
        return best

    def __getitem__(self, const unsigned char[:] key not None):
        cdef int at = self.descend(key)
        if at == -1 or not self.nodes[at].final:
            raise KeyError(bytes(key))
        return self.nodes[at].value

    def __contains__(self, const unsigned char[:] key not None):
        cdef int at = self.descend(key)
        return at != -1 and bool(self.nodes[at].final)

    def __len__(self):
        return self.keys
