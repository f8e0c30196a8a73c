/* A sum with a limit: tally.Tally(10).add(3) */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

typedef struct {
    PyObject_HEAD
    long limit;
    long total;
} Tally;

static int
tally_init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"limit", NULL};
    Tally *self = (Tally *)object;
    long limit;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "l", names, &limit)) {
        return -1;
    }
    if (limit < 1) {
        PyErr_SetString(PyExc_ValueError, "limit must be positive");
        return -1;
    }
    self->limit = limit;
    self->total = 0;
    return 0;
}

static long
tally_take(Tally *self, long amount)
{
    long total = -1;

    if (amount >= 0 && amount <= self->limit - self->total) {
        self->total += amount;
        total = self->total;
    }
    return total;
}

static PyObject *
tally_add(PyObject *object, PyObject *number)
{
    long amount = PyLong_AsLong(number);
    long total;

    if (amount == -1 && PyErr_Occurred()) {
        return NULL;
    }
    total = tally_take((Tally *)object, amount);
    if (total < 0) {
        PyErr_SetString(PyExc_ValueError, "that does not fit");
        return NULL;
    }
    return PyLong_FromLong(total);
}

static PyMethodDef tally_methods[] = {
    {"add", tally_add, METH_O, "add(number)\n--\n\nAdd a number and return the sum."},
    {NULL, NULL, 0, NULL},
};

static void
tally_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    type->tp_free(object);
    Py_DECREF(type);
}

static PyType_Slot tally_slots[] = {
    {Py_tp_doc, "Tally(limit)\n--\n\nA sum that does not exceed its limit."},
    {Py_tp_init, tally_init},
    {Py_tp_methods, tally_methods},
    {Py_tp_dealloc, tally_dealloc},
    {0, NULL},
};

static PyType_Spec tally_spec = {
    .name = "tally.Tally",
    .basicsize = sizeof(Tally),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = tally_slots,
};

static int
tally_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &tally_spec, NULL);
    int failed;

    if (type == NULL) {
        return -1;
    }
    failed = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return failed;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, tally_exec},
    {0, NULL},
};

static struct PyModuleDef tally_module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "tally",
    .m_doc = "A sum with a limit.",
    .m_slots = module_slots,
};

PyMODINIT_FUNC
PyInit_tally(void)
{
    return PyModuleDef_Init(&tally_module);
}
