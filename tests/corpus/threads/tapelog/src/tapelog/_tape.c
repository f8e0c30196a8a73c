#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>

#define CAPSULE "tapelog.tape"

typedef struct {
    unsigned char *bytes;
    size_t room, used;
    size_t *offsets;
    size_t offsets_room, count;
} Tape;

static void
destroy(PyObject *capsule)
{
    Tape *tape = PyCapsule_GetPointer(capsule, CAPSULE);
    free(tape->bytes);
    free(tape->offsets);
    free(tape);
}

static PyObject *
create(PyObject *module, PyObject *arg)
{
    Py_ssize_t capacity = PyLong_AsSsize_t(arg);
    if (capacity == -1 && PyErr_Occurred())
        return NULL;
    if (capacity < 1) {
        PyErr_SetString(PyExc_ValueError, "capacity must be positive");
        return NULL;
    }
    Tape *tape = calloc(1, sizeof(Tape));
    if (tape == NULL)
        return PyErr_NoMemory();
    tape->room = capacity;
    tape->offsets_room = 8;
    tape->bytes = malloc(tape->room);
    tape->offsets = malloc(tape->offsets_room * sizeof(size_t));
    if (tape->bytes == NULL || tape->offsets == NULL) {
        free(tape->bytes);
        free(tape->offsets);
        free(tape);
        return PyErr_NoMemory();
    }
    return PyCapsule_New(tape, CAPSULE, destroy);
}

static int
reserve(Tape *tape, size_t extra)
{
    if (tape->room - tape->used < extra) {
        size_t room = 2 * tape->room + extra;
        unsigned char *bytes = realloc(tape->bytes, room);
        if (bytes == NULL)
            return -1;
        tape->bytes = bytes;
        tape->room = room;
    }
    if (tape->count == tape->offsets_room) {
        size_t *offsets = realloc(tape->offsets, 2 * tape->offsets_room * sizeof(size_t));
        if (offsets == NULL)
            return -1;
        tape->offsets = offsets;
        tape->offsets_room *= 2;
    }
    return 0;
}

static PyObject *
append(PyObject *module, PyObject *args)
{
    PyObject *handle;
    const char *record;
    Py_ssize_t length;

    if (!PyArg_ParseTuple(args, "Oy#:append", &handle, &record, &length))
        return NULL;
    Tape *tape = PyCapsule_GetPointer(handle, CAPSULE);
    if (tape == NULL)
        return NULL;
    if (length > 65535) {
        PyErr_SetString(PyExc_ValueError, "a record has at most 65535 bytes");
        return NULL;
    }
    if (reserve(tape, length + 2) < 0)
        return PyErr_NoMemory();
    tape->offsets[tape->count] = tape->used;
    tape->bytes[tape->used] = (unsigned char)(length >> 8);
    tape->bytes[tape->used + 1] = (unsigned char)length;
    memcpy(tape->bytes + tape->used + 2, record, length);
    tape->used += length + 2;
    return PyLong_FromSize_t(tape->count++);
}

static PyObject *
get(PyObject *module, PyObject *args)
{
    PyObject *handle;
    Py_ssize_t number;

    if (!PyArg_ParseTuple(args, "On:get", &handle, &number))
        return NULL;
    Tape *tape = PyCapsule_GetPointer(handle, CAPSULE);
    if (tape == NULL)
        return NULL;
    if (number < 0 || (size_t)number >= tape->count) {
        PyErr_SetString(PyExc_IndexError, "no such record");
        return NULL;
    }
    const unsigned char *at = tape->bytes + tape->offsets[number];
    return PyBytes_FromStringAndSize((const char *)at + 2, at[0] << 8 | at[1]);
}

static PyObject *
count(PyObject *module, PyObject *handle)
{
    Tape *tape = PyCapsule_GetPointer(handle, CAPSULE);
    return tape == NULL ? NULL : PyLong_FromSize_t(tape->count);
}

static PyObject *
rewind_tape(PyObject *module, PyObject *handle)
{
    Tape *tape = PyCapsule_GetPointer(handle, CAPSULE);
    if (tape == NULL)
        return NULL;
    tape->used = tape->count = 0;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"create", create, METH_O, NULL}, {"append", append, METH_VARARGS, NULL}, {"get", get, METH_VARARGS, NULL},
    {"count", count, METH_O, NULL},   {"rewind", rewind_tape, METH_O, NULL},  {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "_tape", .m_methods = methods, .m_slots = slots};

PyMODINIT_FUNC
PyInit__tape(void)
{
    return PyModuleDef_Init(&def);
}
