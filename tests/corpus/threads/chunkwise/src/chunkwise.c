#define PY_SSIZE_T_CLEAN
#include <Python.h>

typedef struct {
    PyObject_HEAD
    PyObject *data;
    Py_ssize_t position;
    Py_ssize_t size;
} Chunks;

static PyTypeObject *Chunks_type;

static void
Chunks_dealloc(Chunks *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_CLEAR(self->data);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
Chunks_next(Chunks *self)
{
    if (self->data == NULL)
        return NULL;
    Py_ssize_t left = PyBytes_GET_SIZE(self->data) - self->position;
    if (left <= 0) {
        Py_CLEAR(self->data);
        return NULL;
    }
    Py_ssize_t length = Py_MIN(left, self->size);
    PyObject *chunk = PyBytes_FromStringAndSize(PyBytes_AS_STRING(self->data) + self->position, length);
    if (chunk != NULL)
        self->position += length;
    return chunk;
}

static PyObject *
Chunks_length_hint(Chunks *self, PyObject *unused)
{
    Py_ssize_t left = self->data == NULL ? 0 : PyBytes_GET_SIZE(self->data) - self->position;
    return PyLong_FromSsize_t(left <= 0 ? 0 : (left + self->size - 1) / self->size);
}

static PyMethodDef Chunks_methods[] = {
    {"__length_hint__", (PyCFunction)Chunks_length_hint, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Chunks_slots[] = {
    {Py_tp_dealloc, Chunks_dealloc},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, Chunks_next},
    {Py_tp_methods, Chunks_methods},
    {0, NULL},
};

static PyType_Spec Chunks_spec = {
    .name = "chunkwise.Chunks",
    .basicsize = sizeof(Chunks),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = Chunks_slots,
};

static PyObject *
chunks(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"data", "size", NULL};
    PyObject *data;
    Py_ssize_t size;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "On:chunks", names, &data, &size))
        return NULL;
    if (size < 1) {
        PyErr_SetString(PyExc_ValueError, "size must be at least 1");
        return NULL;
    }
    PyObject *bytes = PyBytes_FromObject(data);
    if (bytes == NULL)
        return NULL;
    Chunks *self = PyObject_New(Chunks, Chunks_type);
    if (self == NULL) {
        Py_DECREF(bytes);
        return NULL;
    }
    self->data = bytes;
    self->position = 0;
    self->size = size;
    return (PyObject *)self;
}

static PyObject *
count(PyObject *module, PyObject *args)
{
    Py_buffer view;
    Py_ssize_t size;

    if (!PyArg_ParseTuple(args, "y*n:count", &view, &size))
        return NULL;
    Py_ssize_t length = view.len;
    PyBuffer_Release(&view);
    if (size < 1) {
        PyErr_SetString(PyExc_ValueError, "size must be at least 1");
        return NULL;
    }
    return PyLong_FromSsize_t((length + size - 1) / size);
}

static PyMethodDef methods[] = {
    {"chunks", (PyCFunction)(void (*)(void))chunks, METH_VARARGS | METH_KEYWORDS,
     "chunks(data, size)\n--\n\nIterate over data in pieces of size bytes; the last may be shorter."},
    {"count", count, METH_VARARGS, "count(data, size, /)\n--\n\nHow many chunks there are."},
    {NULL, NULL, 0, NULL},
};

static int
exec(PyObject *module)
{
    Chunks_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &Chunks_spec, NULL);
    return Chunks_type == NULL ? -1 : PyModule_AddType(module, Chunks_type);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "chunkwise", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_chunkwise(void)
{
    return PyModuleDef_Init(&module);
}
