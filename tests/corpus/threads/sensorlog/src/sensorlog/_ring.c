#include <Python.h>
#include <stdlib.h>

#define CAPSULE "sensorlog.ring"

typedef struct {
    double time, value;
} Reading;

typedef struct {
    Reading *readings;
    Py_ssize_t capacity, start, used;
} Ring;

static void
destroy(PyObject *capsule)
{
    Ring *ring = PyCapsule_GetPointer(capsule, CAPSULE);
    free(ring->readings);
    free(ring);
}

static int
allowed(Py_ssize_t capacity)
{
    if (capacity < 1 || capacity > 1 << 20) {
        PyErr_SetString(PyExc_ValueError, "capacity must be between 1 and 1048576");
        return 0;
    }
    return 1;
}

static PyObject *
create(PyObject *module, PyObject *arg)
{
    Py_ssize_t capacity = PyLong_AsSsize_t(arg);
    if ((capacity == -1 && PyErr_Occurred()) || !allowed(capacity))
        return NULL;
    Ring *ring = calloc(1, sizeof(Ring));
    if (ring == NULL || (ring->readings = calloc(capacity, sizeof(Reading))) == NULL) {
        free(ring);
        return PyErr_NoMemory();
    }
    ring->capacity = capacity;
    return PyCapsule_New(ring, CAPSULE, destroy);
}

static PyObject *
push(PyObject *module, PyObject *args)
{
    PyObject *handle;
    double time, value;

    if (!PyArg_ParseTuple(args, "Odd:push", &handle, &time, &value))
        return NULL;
    Ring *ring = PyCapsule_GetPointer(handle, CAPSULE);
    if (ring == NULL)
        return NULL;
    Py_ssize_t at = (ring->start + ring->used) % ring->capacity;
    ring->readings[at].time = time;
    ring->readings[at].value = value;
    if (ring->used < ring->capacity)
        ring->used++;
    else
        ring->start = (ring->start + 1) % ring->capacity;
    Py_RETURN_NONE;
}

static PyObject *
newest(PyObject *module, PyObject *handle)
{
    Ring *ring = PyCapsule_GetPointer(handle, CAPSULE);
    if (ring == NULL)
        return NULL;
    if (ring->used == 0)
        Py_RETURN_NONE;
    Reading *reading = &ring->readings[(ring->start + ring->used - 1) % ring->capacity];
    return Py_BuildValue("dd", reading->time, reading->value);
}

static PyObject *
take_all(PyObject *module, PyObject *handle)
{
    Ring *ring = PyCapsule_GetPointer(handle, CAPSULE);
    if (ring == NULL)
        return NULL;
    PyObject *result = PyList_New(0);
    while (result != NULL && ring->used > 0) {
        Reading reading = ring->readings[ring->start];
        ring->start = (ring->start + 1) % ring->capacity;
        ring->used--;
        PyObject *pair = Py_BuildValue("dd", reading.time, reading.value);
        if (pair == NULL || PyList_Append(result, pair) < 0)
            Py_CLEAR(result);
        Py_XDECREF(pair);
    }
    return result;
}

static PyObject *
resize(PyObject *module, PyObject *args)
{
    PyObject *handle;
    Py_ssize_t capacity;

    if (!PyArg_ParseTuple(args, "On:resize", &handle, &capacity) || !allowed(capacity))
        return NULL;
    Ring *ring = PyCapsule_GetPointer(handle, CAPSULE);
    if (ring == NULL)
        return NULL;
    Reading *readings = calloc(capacity, sizeof(Reading));
    if (readings == NULL)
        return PyErr_NoMemory();
    free(ring->readings);
    *ring = (Ring){.readings = readings, .capacity = capacity};
    Py_RETURN_NONE;
}

static PyObject *
count(PyObject *module, PyObject *handle)
{
    Ring *ring = PyCapsule_GetPointer(handle, CAPSULE);
    return ring == NULL ? NULL : PyLong_FromSsize_t(ring->used);
}

static PyMethodDef methods[] = {
    {"create", create, METH_O, NULL},      {"push", push, METH_VARARGS, NULL},
    {"newest", newest, METH_O, NULL},      {"take_all", take_all, METH_O, NULL},
    {"resize", resize, METH_VARARGS, NULL}, {"count", count, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "_ring", .m_methods = methods, .m_slots = slots};

PyMODINIT_FUNC
PyInit__ring(void)
{
    return PyModuleDef_Init(&def);
}
