#include <Python.h>
#include <time.h>

typedef struct {
    PyObject_HEAD
    PyObject *owner;
    double seconds;
    time_t last_used;
} Lease;

static PyObject *
Lease_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"owner", "seconds", NULL};
    PyObject *owner;
    double seconds = 3600;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "U|d:Lease", names, &owner, &seconds))
        return NULL;
    if (PyUnicode_GET_LENGTH(owner) == 0 || !(seconds > 0)) {
        PyErr_SetString(PyExc_ValueError, seconds > 0 ? "owner cannot be empty" : "seconds must be positive");
        return NULL;
    }
    Lease *self = (Lease *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->owner = Py_NewRef(owner);
    self->seconds = seconds;
    self->last_used = time(NULL);
    return (PyObject *)self;
}

static void
Lease_dealloc(Lease *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_CLEAR(self->owner);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
Lease_touch(Lease *self, PyObject *unused)
{
    self->last_used = time(NULL);
    return Py_NewRef(self);
}

static int
ended(Lease *self)
{
    return difftime(time(NULL), self->last_used) >= self->seconds;
}

static PyObject *
Lease_belongs_to(Lease *self, PyObject *owner)
{
    if (!PyUnicode_Check(owner)) {
        PyErr_SetString(PyExc_TypeError, "owner must be a str");
        return NULL;
    }
    return PyBool_FromLong(!ended(self) && PyUnicode_Equal(self->owner, owner));
}

static PyObject *
Lease_get_ended(Lease *self, void *closure)
{
    return PyBool_FromLong(ended(self));
}

static PyObject *
Lease_repr(Lease *self)
{
    return PyUnicode_FromFormat("<Lease of %R>", self->owner);
}

static PyMethodDef Lease_methods[] = {
    {"touch", (PyCFunction)Lease_touch, METH_NOARGS, "touch($self, /)\n--\n\nBegin the time anew; returns the lease."},
    {"belongs_to", (PyCFunction)Lease_belongs_to, METH_O, "belongs_to($self, owner, /)\n--\n\nFalse once it has ended."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef Lease_getset[] = {{"ended", (getter)Lease_get_ended, NULL, "Was it unused for too long?", NULL}, {NULL}};

static PyType_Slot Lease_slots[] = {
    {Py_tp_doc, "Lease(owner, seconds=3600.0)\n--\n\nEnds after so many seconds without touch()."},
    {Py_tp_new, Lease_new},
    {Py_tp_dealloc, Lease_dealloc},
    {Py_tp_repr, Lease_repr},
    {Py_tp_methods, Lease_methods},
    {Py_tp_getset, Lease_getset},
    {0, NULL},
};

static PyType_Spec Lease_spec = {
    .name = "leasebook.Lease", .basicsize = sizeof(Lease), .flags = Py_TPFLAGS_DEFAULT, .slots = Lease_slots,
};

static int
exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Lease_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Lease", type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "leasebook", .m_slots = slots};

PyMODINIT_FUNC
PyInit_leasebook(void)
{
    return PyModuleDef_Init(&def);
}
