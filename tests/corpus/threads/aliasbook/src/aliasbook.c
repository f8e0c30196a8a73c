#include <Python.h>

typedef struct {
    PyObject_HEAD
    PyObject *targets;
    PyObject *order;
} Book;

static PyObject *
Book_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, ":Book", names))
        return NULL;
    Book *self = (Book *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->targets = PyDict_New();
    self->order = PyList_New(0);
    if (self->targets == NULL || self->order == NULL)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static int
Book_traverse(Book *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->targets);
    Py_VISIT(self->order);
    return 0;
}

static int
Book_clear(Book *self)
{
    Py_CLEAR(self->targets);
    Py_CLEAR(self->order);
    return 0;
}

static void
Book_dealloc(Book *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Book_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
Book_assign(Book *self, PyObject *args)
{
    PyObject *alias, *target;

    if (!PyArg_ParseTuple(args, "UU:assign", &alias, &target))
        return NULL;
    if (PyDict_SetItem(self->targets, alias, target) < 0 || PyList_Append(self->order, alias) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
Book_drop(Book *self, PyObject *alias)
{
    PyObject *target;
    int found = PyDict_Pop(self->targets, alias, &target);
    if (found < 0)
        return NULL;
    if (found == 0) {
        PyErr_SetObject(PyExc_KeyError, alias);
        return NULL;
    }
    return target;
}

static PyObject *
Book_resolve(Book *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"alias", "depth", NULL};
    PyObject *name, *next;
    int depth = 8;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "U|i:resolve", names, &name, &depth))
        return NULL;
    Py_INCREF(name);
    for (; depth > 0; depth--) {
        int found = PyDict_GetItemRef(self->targets, name, &next);
        if (found <= 0) {
            if (found == 0)
                return name;
            Py_DECREF(name);
            return NULL;
        }
        Py_SETREF(name, next);
    }
    PyErr_Format(PyExc_RecursionError, "%R goes on for too long", name);
    Py_DECREF(name);
    return NULL;
}

static PyObject *
Book_latest(Book *self, PyObject *args)
{
    Py_ssize_t back = 0;

    if (!PyArg_ParseTuple(args, "|n:latest", &back))
        return NULL;
    PyObject *alias = PyList_GetItemRef(self->order, PyList_Size(self->order) - 1 - back);
    if (alias == NULL && PyErr_ExceptionMatches(PyExc_IndexError)) {
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    return alias;
}

static PyObject *
Book_forget_order(Book *self, PyObject *unused)
{
    if (PyList_Clear(self->order) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static Py_ssize_t
Book_length(Book *self)
{
    return PyDict_Size(self->targets);
}

static PyMethodDef Book_methods[] = {
    {"assign", (PyCFunction)Book_assign, METH_VARARGS, "assign(alias: str, target: str) -> None"},
    {"drop", (PyCFunction)Book_drop, METH_O, "drop(alias: str) -> str"},
    {"resolve", (PyCFunction)(void (*)(void))Book_resolve, METH_VARARGS | METH_KEYWORDS,
     "resolve(alias: str, depth: int = 8) -> str\n\nFollow aliases to a name that is none."},
    {"latest", (PyCFunction)Book_latest, METH_VARARGS, "latest(back: int = 0) -> str | None"},
    {"forget_order", (PyCFunction)Book_forget_order, METH_NOARGS, "forget_order() -> None"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Book_slots[] = {
    {Py_tp_doc, "Book()"},
    {Py_tp_new, Book_new},
    {Py_tp_traverse, Book_traverse},
    {Py_tp_clear, Book_clear},
    {Py_tp_dealloc, Book_dealloc},
    {Py_tp_methods, Book_methods},
    {Py_mp_length, Book_length},
    {0, NULL},
};

static PyType_Spec Book_spec = {
    .name = "aliasbook.Book",
    .basicsize = sizeof(Book),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = Book_slots,
};

static int
exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Book_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Book", type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "aliasbook", .m_slots = slots};

PyMODINIT_FUNC
PyInit_aliasbook(void)
{
    return PyModuleDef_Init(&def);
}
