#include <Python.h>

typedef struct {
    PyObject_HEAD
    PyObject *formatter;
    PyObject *sink;
    int level;
} Writer;

static int
Writer_init(Writer *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"sink", "level", "formatter", NULL};
    PyObject *sink, *formatter = Py_None;
    int level = 20;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|iO:Writer", names, &sink, &level, &formatter))
        return -1;
    if (level < 0 || level > 50) {
        PyErr_SetString(PyExc_ValueError, "level must be between 0 and 50");
        return -1;
    }
    self->level = level;
    Py_XSETREF(self->sink, Py_NewRef(sink));
    Py_XSETREF(self->formatter, Py_NewRef(formatter));
    return 0;
}

static int
Writer_traverse(Writer *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->formatter);
    Py_VISIT(self->sink);
    return 0;
}

static int
Writer_clear(Writer *self)
{
    Py_CLEAR(self->formatter);
    Py_CLEAR(self->sink);
    return 0;
}

static void
Writer_dealloc(Writer *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Writer_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
format_message(Writer *self, PyObject *message)
{
    if (self->formatter == NULL || self->formatter == Py_None)
        return PyObject_Str(message);
    PyObject *formatter = Py_NewRef(self->formatter);
    PyObject *text = PyObject_CallOneArg(formatter, message);
    Py_DECREF(formatter);
    return text;
}

static PyObject *
Writer_log(Writer *self, PyObject *args)
{
    int level;
    PyObject *message;

    if (!PyArg_ParseTuple(args, "iO:log", &level, &message))
        return NULL;
    if (level < self->level)
        Py_RETURN_FALSE;
    if (self->sink == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the writer has no sink");
        return NULL;
    }
    PyObject *text = format_message(self, message);
    if (text == NULL)
        return NULL;
    PyObject *written = PyObject_CallMethod(self->sink, "append", "O", text);
    Py_DECREF(text);
    if (written == NULL)
        return NULL;
    Py_DECREF(written);
    Py_RETURN_TRUE;
}

static PyObject *
Writer_get_formatter(Writer *self, void *closure)
{
    return Py_NewRef(self->formatter ? self->formatter : Py_None);
}

static int
Writer_set_formatter(Writer *self, PyObject *value, void *closure)
{
    if (value != NULL && value != Py_None && !PyCallable_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "formatter must be callable or None");
        return -1;
    }
    PyObject *old = self->formatter;
    self->formatter = value == NULL ? NULL : Py_NewRef(value);
    Py_XDECREF(old);
    return 0;
}

static PyGetSetDef Writer_getset[] = {
    {"formatter", (getter)Writer_get_formatter, (setter)Writer_set_formatter, "Makes a line of a message.", NULL},
    {NULL},
};

static PyMethodDef Writer_methods[] = {
    {"log", (PyCFunction)Writer_log, METH_VARARGS, "log(level, message)\n\nAppend a line to the sink; False if the level is too low."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Writer_slots[] = {
    {Py_tp_doc, "Writer(sink, level=20, formatter=None)\n\nWrites to anything that has append()."},
    {Py_tp_init, Writer_init},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_traverse, Writer_traverse},
    {Py_tp_clear, Writer_clear},
    {Py_tp_dealloc, Writer_dealloc},
    {Py_tp_methods, Writer_methods},
    {Py_tp_getset, Writer_getset},
    {0, NULL},
};

static PyType_Spec Writer_spec = {
    .name = "linefmt.Writer",
    .basicsize = sizeof(Writer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = Writer_slots,
};

static int
exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Writer_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Writer", type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "linefmt", .m_slots = slots};

PyMODINIT_FUNC
PyInit_linefmt(void)
{
    return PyModuleDef_Init(&def);
}
