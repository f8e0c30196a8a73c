#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* A descriptor that keeps the value it gave last, with the object it was for. */
typedef struct {
    PyObject_HEAD
    PyObject *compute;
    PyObject *owner;
    PyObject *value;
} Lazy;

static PyObject *
Lazy_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *compute;
    if (!PyArg_ParseTuple(args, "O:Lazy", &compute))
        return NULL;
    if (!PyCallable_Check(compute)) {
        PyErr_SetString(PyExc_TypeError, "compute must be callable");
        return NULL;
    }
    Lazy *self = (Lazy *)type->tp_alloc(type, 0);
    if (self != NULL)
        self->compute = Py_NewRef(compute);
    return (PyObject *)self;
}

static int
Lazy_traverse(Lazy *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->compute);
    Py_VISIT(self->owner);
    Py_VISIT(self->value);
    return 0;
}

static int
Lazy_clear(Lazy *self)
{
    Py_CLEAR(self->compute);
    Py_CLEAR(self->owner);
    Py_CLEAR(self->value);
    return 0;
}

static void
Lazy_dealloc(Lazy *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Lazy_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
Lazy_get(Lazy *self, PyObject *owner, PyObject *type)
{
    if (owner == NULL)
        return Py_NewRef(self);
    if (self->owner == owner && self->value != NULL)
        return Py_NewRef(self->value);
    PyObject *value = PyObject_CallOneArg(self->compute, owner);
    if (value == NULL)
        return NULL;
    Py_XSETREF(self->owner, Py_NewRef(owner));
    Py_XSETREF(self->value, Py_NewRef(value));
    return value;
}

static int
Lazy_set(Lazy *self, PyObject *owner, PyObject *value)
{
    if (value == NULL)
        Py_CLEAR(self->owner);
    else
        Py_XSETREF(self->owner, Py_NewRef(owner));
    Py_XSETREF(self->value, Py_XNewRef(value));
    return 0;
}

static PyType_Slot Lazy_slots[] = {
    {Py_tp_new, Lazy_new},
    {Py_tp_traverse, Lazy_traverse},
    {Py_tp_clear, Lazy_clear},
    {Py_tp_dealloc, Lazy_dealloc},
    {Py_tp_descr_get, Lazy_get},
    {Py_tp_descr_set, Lazy_set},
    {0, NULL},
};

static PyType_Spec Lazy_spec = {
    .name = "lazyslot.Lazy",
    .basicsize = sizeof(Lazy),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = Lazy_slots,
};

static int
lazyslot_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Lazy_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Lazy", type);
}

static PyModuleDef_Slot lazyslot_slots[] = {
    {Py_mod_exec, lazyslot_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef lazyslot = {PyModuleDef_HEAD_INIT, .m_name = "lazyslot", .m_slots = lazyslot_slots};

PyMODINIT_FUNC
PyInit_lazyslot(void)
{
    return PyModuleDef_Init(&lazyslot);
}
