#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>

typedef struct {
    PyObject_HEAD
    char *data;
    size_t used;
    size_t room;
} Builder;

static PyObject *
Builder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"room", NULL};
    Py_ssize_t room = 64;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|n:Builder", names, &room))
        return NULL;
    if (room < 1) {
        PyErr_SetString(PyExc_ValueError, "room must be positive");
        return NULL;
    }
    Builder *self = (Builder *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->data = malloc(room);
    if (self->data == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    self->room = room;
    return (PyObject *)self;
}

static void
Builder_dealloc(Builder *self)
{
    PyTypeObject *type = Py_TYPE(self);
    free(self->data);
    type->tp_free(self);
    Py_DECREF(type);
}

static int
reserve(Builder *self, size_t extra)
{
    if (self->room - self->used >= extra)
        return 0;
    size_t room = self->room * 2;
    while (room - self->used < extra)
        room *= 2;
    char *data = realloc(self->data, room);
    if (data == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    self->data = data;
    self->room = room;
    return 0;
}

static PyObject *
Builder_write(Builder *self, PyObject *args)
{
    const char *text;
    Py_ssize_t length;

    if (!PyArg_ParseTuple(args, "s#:write", &text, &length))
        return NULL;
    if (reserve(self, length) < 0)
        return NULL;
    memcpy(self->data + self->used, text, length);
    self->used += length;
    return PyLong_FromSsize_t(length);
}

static PyObject *
Builder_newline(Builder *self, PyObject *unused)
{
    if (reserve(self, 1) < 0)
        return NULL;
    self->data[self->used++] = '\n';
    Py_RETURN_NONE;
}

static PyObject *
Builder_getvalue(Builder *self, PyObject *unused)
{
    return PyBytes_FromStringAndSize(self->data, self->used);
}

static Py_ssize_t
Builder_length(Builder *self)
{
    return self->used;
}

static PyMethodDef Builder_methods[] = {
    {"write", (PyCFunction)Builder_write, METH_VARARGS, "write(text: str | bytes) -> int"},
    {"newline", (PyCFunction)Builder_newline, METH_NOARGS, "newline() -> None"},
    {"getvalue", (PyCFunction)Builder_getvalue, METH_NOARGS, "getvalue() -> bytes"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Builder_slots[] = {
    {Py_tp_new, Builder_new},
    {Py_tp_dealloc, Builder_dealloc},
    {Py_tp_methods, Builder_methods},
    {Py_sq_length, Builder_length},
    {0, NULL},
};

static PyType_Spec Builder_spec = {
    .name = "linebuf.Builder",
    .basicsize = sizeof(Builder),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Builder_slots,
};

static int
linebuf_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Builder_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Builder", type);
}

static PyModuleDef_Slot linebuf_slots[] = {
    {Py_mod_exec, linebuf_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef linebuf = {PyModuleDef_HEAD_INIT, .m_name = "linebuf", .m_slots = linebuf_slots};

PyMODINIT_FUNC
PyInit_linebuf(void)
{
    return PyModuleDef_Init(&linebuf);
}
