#include <Python.h>
#include <stdlib.h>

typedef struct {
    PyObject_HEAD
    char *block;
    Py_ssize_t size;
    Py_ssize_t exports;
} Block;

static PyObject *
Block_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"size", NULL};
    Py_ssize_t size;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "n:Block", names, &size))
        return NULL;
    if (size < 1) {
        PyErr_SetString(PyExc_ValueError, "size must be positive");
        return NULL;
    }
    Block *self = (Block *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->block = calloc(size, 1);
    if (self->block == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    self->size = size;
    return (PyObject *)self;
}

static void
Block_dealloc(Block *self)
{
    PyTypeObject *type = Py_TYPE(self);
    free(self->block);
    type->tp_free(self);
    Py_DECREF(type);
}

static int
Block_getbuffer(Block *self, Py_buffer *view, int flags)
{
    if (PyBuffer_FillInfo(view, (PyObject *)self, self->block, self->size, 0, flags) < 0)
        return -1;
    self->exports++;
    return 0;
}

static void
Block_releasebuffer(Block *self, Py_buffer *view)
{
    self->exports--;
}

static PyObject *
Block_resize(Block *self, PyObject *arg)
{
    Py_ssize_t size = PyLong_AsSsize_t(arg);
    if (size == -1 && PyErr_Occurred())
        return NULL;
    if (size < 1) {
        PyErr_SetString(PyExc_ValueError, "size must be positive");
        return NULL;
    }
    if (self->exports > 0) {
        PyErr_Format(PyExc_BufferError, "%zd views of the block exist", self->exports);
        return NULL;
    }
    char *block = realloc(self->block, size);
    if (block == NULL)
        return PyErr_NoMemory();
    if (size > self->size)
        memset(block + self->size, 0, size - self->size);
    self->block = block;
    self->size = size;
    Py_RETURN_NONE;
}

static PyObject *
Block_fill(Block *self, PyObject *arg)
{
    Py_buffer view;
    int value = PyLong_AsInt(arg);
    if (value == -1 && PyErr_Occurred())
        return NULL;
    if (value < 0 || value > 255) {
        PyErr_SetString(PyExc_ValueError, "value must be a byte");
        return NULL;
    }
    if (PyObject_GetBuffer((PyObject *)self, &view, PyBUF_WRITABLE) < 0)
        return NULL;
    memset(view.buf, value, view.len);
    PyBuffer_Release(&view);
    Py_RETURN_NONE;
}

static Py_ssize_t
Block_length(Block *self)
{
    return self->size;
}

static PyMethodDef Block_methods[] = {
    {"resize", (PyCFunction)Block_resize, METH_O, "resize(size, /)\n\nChange the size; not possible while views exist."},
    {"fill", (PyCFunction)Block_fill, METH_O, "fill(value, /)\n\nSet every byte."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Block_slots[] = {
    {Py_tp_doc, "Block(size)\n\nZeroed memory that supports the buffer protocol."},
    {Py_tp_new, Block_new},
    {Py_tp_dealloc, Block_dealloc},
    {Py_tp_methods, Block_methods},
    {Py_sq_length, Block_length},
    {Py_bf_getbuffer, Block_getbuffer},
    {Py_bf_releasebuffer, Block_releasebuffer},
    {0, NULL},
};

static PyType_Spec Block_spec = {
    .name = "bytepool.Block", .basicsize = sizeof(Block), .flags = Py_TPFLAGS_DEFAULT, .slots = Block_slots,
};

static int
exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Block_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Block", type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "bytepool", .m_slots = slots};

PyMODINIT_FUNC
PyInit_bytepool(void)
{
    return PyModuleDef_Init(&def);
}
