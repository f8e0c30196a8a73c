#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>

typedef struct {
    PyObject_HEAD
    PyMutex mutex;
    char *data;
    size_t used;
    size_t room;
} Buffer;

static PyObject *
Buffer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, ":Buffer", names))
        return NULL;
    return type->tp_alloc(type, 0);
}

static void
Buffer_dealloc(Buffer *self)
{
    PyTypeObject *type = Py_TYPE(self);
    free(self->data);
    type->tp_free(self);
    Py_DECREF(type);
}

static int
append(Buffer *self, const char *text, size_t length)
{
    if (self->room - self->used < length) {
        size_t room = self->room ? self->room : 32;
        while (room - self->used < length)
            room *= 2;
        char *data = realloc(self->data, room);
        if (data == NULL)
            return -1;
        self->data = data;
        self->room = room;
    }
    memcpy(self->data + self->used, text, length);
    self->used += length;
    return 0;
}

static PyObject *
Buffer_write(Buffer *self, PyObject *args)
{
    const char *text;
    Py_ssize_t length;

    if (!PyArg_ParseTuple(args, "s#:write", &text, &length))
        return NULL;
    PyMutex_Lock(&self->mutex);
    int failed = append(self, text, length);
    PyMutex_Unlock(&self->mutex);
    if (failed)
        return PyErr_NoMemory();
    return PyLong_FromSsize_t(length);
}

static PyObject *
Buffer_take(Buffer *self, PyObject *unused)
{
    PyMutex_Lock(&self->mutex);
    char *data = self->data;
    size_t used = self->used;
    self->data = NULL;
    self->used = self->room = 0;
    PyMutex_Unlock(&self->mutex);
    PyObject *text = PyBytes_FromStringAndSize(data, used);
    free(data);
    return text;
}

static PyObject *
Buffer_find(Buffer *self, PyObject *arg)
{
    int byte = PyLong_AsInt(arg);
    if (byte == -1 && PyErr_Occurred())
        return NULL;
    if (byte < 0 || byte > 255) {
        PyErr_SetString(PyExc_ValueError, "byte must be between 0 and 255");
        return NULL;
    }
    PyMutex_Lock(&self->mutex);
    char *found = self->used ? memchr(self->data, byte, self->used) : NULL;
    Py_ssize_t at = found ? found - self->data : -1;
    PyMutex_Unlock(&self->mutex);
    return PyLong_FromSsize_t(at);
}

static Py_ssize_t
Buffer_length(Buffer *self)
{
    PyMutex_Lock(&self->mutex);
    Py_ssize_t used = self->used;
    PyMutex_Unlock(&self->mutex);
    return used;
}

static PyMethodDef Buffer_methods[] = {
    {"write", (PyCFunction)Buffer_write, METH_VARARGS, "write(text: str | bytes) -> int"},
    {"take", (PyCFunction)Buffer_take, METH_NOARGS, "take() -> bytes\n\nEverything so far; the buffer is empty afterwards."},
    {"find", (PyCFunction)Buffer_find, METH_O, "find(byte: int) -> int"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Buffer_slots[] = {
    {Py_tp_new, Buffer_new},
    {Py_tp_dealloc, Buffer_dealloc},
    {Py_tp_methods, Buffer_methods},
    {Py_sq_length, Buffer_length},
    {0, NULL},
};

static PyType_Spec Buffer_spec = {
    .name = "spanbuf.Buffer", .basicsize = sizeof(Buffer), .flags = Py_TPFLAGS_DEFAULT, .slots = Buffer_slots,
};

static int
exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Buffer_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Buffer", type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "spanbuf", .m_slots = slots};

PyMODINIT_FUNC
PyInit_spanbuf(void)
{
    return PyModuleDef_Init(&def);
}
