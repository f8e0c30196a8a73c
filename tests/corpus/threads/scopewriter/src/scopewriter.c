#include <Python.h>
#include <structmember.h>

typedef struct {
    PyObject_HEAD
    PyObject *file;
    PyObject **open;
    int depth;
    int room;
    int width;
} Writer;

static int
Writer_init(Writer *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"file", "width", NULL};
    PyObject *file;
    int width = 4;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|i:Writer", names, &file, &width))
        return -1;
    if (width < 1 || width > 16) {
        PyErr_SetString(PyExc_ValueError, "width must be between 1 and 16");
        return -1;
    }
    if (self->file != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the writer has a file already");
        return -1;
    }
    self->width = width;
    self->file = Py_NewRef(file);
    return 0;
}

static int
Writer_traverse(Writer *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->file);
    return 0;
}

static void
Writer_dealloc(Writer *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->file);
    while (self->depth > 0)
        Py_DECREF(self->open[--self->depth]);
    PyMem_Free(self->open);
    type->tp_free(self);
    Py_DECREF(type);
}

static int
put(Writer *self, int indent, PyObject *text, const char *end)
{
    if (self->file == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the writer has no file");
        return -1;
    }
    PyObject *line = PyUnicode_FromFormat("%*s%U%s\n", indent, "", text, end);
    if (line == NULL)
        return -1;
    PyObject *done = PyObject_CallMethod(self->file, "write", "(N)", line);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static PyObject *
Writer_line(Writer *self, PyObject *args)
{
    PyObject *text;
    if (!PyArg_ParseTuple(args, "U:line", &text) || put(self, self->depth * self->width, text, "") < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
Writer_scope(Writer *self, PyObject *args)
{
    PyObject *title;

    if (!PyArg_ParseTuple(args, "U:scope", &title))
        return NULL;
    if (self->depth == self->room) {
        int room = self->room ? 2 * self->room : 4;
        PyObject **open = PyMem_Realloc(self->open, room * sizeof(PyObject *));
        if (open == NULL)
            return PyErr_NoMemory();
        self->open = open;
        self->room = room;
    }
    if (put(self, self->depth * self->width, title, " {") < 0)
        return NULL;
    self->open[self->depth++] = Py_NewRef(title);
    return Py_NewRef(self);
}

static PyObject *
Writer_enter(Writer *self, PyObject *unused)
{
    if (self->depth == 0) {
        PyErr_SetString(PyExc_RuntimeError, "use `with writer.scope(title):`");
        return NULL;
    }
    return Py_NewRef(self);
}

static PyObject *
Writer_exit(Writer *self, PyObject *args)
{
    if (self->depth == 0) {
        PyErr_SetString(PyExc_RuntimeError, "no scope is open");
        return NULL;
    }
    PyObject *title = self->open[--self->depth];
    PyObject *end = PyUnicode_FromFormat("} # %U", title);
    Py_DECREF(title);
    if (end == NULL)
        return NULL;
    int failed = put(self, self->depth * self->width, end, "");
    Py_DECREF(end);
    if (failed)
        return NULL;
    Py_RETURN_FALSE;
}

static PyMemberDef Writer_members[] = {
    {"depth", Py_T_INT, offsetof(Writer, depth), Py_READONLY, "How many scopes are open."},
    {NULL},
};

static PyMethodDef Writer_methods[] = {
    {"line", (PyCFunction)Writer_line, METH_VARARGS, "line(text, /)\n--\n\nWrite a line."},
    {"scope", (PyCFunction)Writer_scope, METH_VARARGS, "scope(title, /)\n--\n\nOpen a scope, for a with statement."},
    {"__enter__", (PyCFunction)Writer_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)Writer_exit, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Writer_slots[] = {
    {Py_tp_doc, "Writer(file, width=4)\n--\n\nWrites to anything that has write()."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, Writer_init},
    {Py_tp_traverse, Writer_traverse},
    {Py_tp_dealloc, Writer_dealloc},
    {Py_tp_methods, Writer_methods},
    {Py_tp_members, Writer_members},
    {0, NULL},
};

static PyType_Spec Writer_spec = {
    .name = "scopewriter.Writer",
    .basicsize = sizeof(Writer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = Writer_slots,
};

static int
exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Writer_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Writer", type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "scopewriter", .m_slots = slots};

PyMODINIT_FUNC
PyInit_scopewriter(void)
{
    return PyModuleDef_Init(&def);
}
