# cython: language_level=3
# cython: freethreading_compatible=True
# cython: cdivision=True

from libc.math cimport asin, cos, sin, sqrt

cdef double RADIUS_KM = 6371.0088
cdef double DEGREE = 0.017453292519943295


cdef double haversine(double lat1, double lon1, double lat2, double lon2) noexcept nogil:
    cdef double a = sin((lat2 - lat1) / 2)
    cdef double b = sin((lon2 - lon1) / 2)
    return 2 * RADIUS_KM * asin(sqrt(a * a + cos(lat1) * cos(lat2) * b * b))


cdef int check(double latitude, double longitude) except -1:
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise ValueError(f"({latitude}, {longitude}) is not on the globe")
    return 0


def distance(double lat1, double lon1, double lat2, double lon2):
    """Kilometres between two points given in degrees."""
    check(lat1, lon1)
    check(lat2, lon2)
    return haversine(lat1 * DEGREE, lon1 * DEGREE, lat2 * DEGREE, lon2 * DEGREE)


cdef class Origin:
    """A point from which many distances are asked.

    The answer for the place asked last is kept: callers often ask twice.
    """

    cdef readonly double latitude
    cdef readonly double longitude
    cdef object last_place
    cdef object last_answer

    def __init__(self, double latitude, double longitude):
        check(latitude, longitude)
        self.latitude = latitude
        self.longitude = longitude

    def to(self, tuple place not None):
        """Kilometres to a (latitude, longitude) in degrees."""
        if self.last_place is not None and place == self.last_place:
            return self.last_answer
        latitude, longitude = place
        answer = distance(self.latitude, self.longitude, latitude, longitude)
        self.last_place = place
        self.last_answer = answer
        return answer
