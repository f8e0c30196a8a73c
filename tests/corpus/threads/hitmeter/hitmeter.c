#include <Python.h>
#include <stdatomic.h>

typedef struct {
    PyObject_HEAD
    atomic_llong value;
    atomic_llong high;
} Meter;

static atomic_ullong hits_of_all = 0;
static atomic_int meters = 0;

static PyObject *
Meter_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"start", NULL};
    long long start = 0;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|L:Meter", names, &start))
        return NULL;
    Meter *self = (Meter *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    atomic_init(&self->value, start);
    atomic_init(&self->high, start);
    atomic_fetch_add(&meters, 1);
    return (PyObject *)self;
}

static void
Meter_dealloc(Meter *self)
{
    PyTypeObject *type = Py_TYPE(self);
    atomic_fetch_sub(&meters, 1);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
Meter_hit(Meter *self, PyObject *args)
{
    long long times = 1;
    if (!PyArg_ParseTuple(args, "|L:hit", &times))
        return NULL;
    if (times < 1) {
        PyErr_SetString(PyExc_ValueError, "times must be positive");
        return NULL;
    }
    long long now = atomic_fetch_add(&self->value, times) + times;
    long long high = atomic_load(&self->high);
    while (high < now && !atomic_compare_exchange_weak(&self->high, &high, now))
        ;
    atomic_fetch_add_explicit(&hits_of_all, times, memory_order_relaxed);
    return PyLong_FromLongLong(now);
}

static PyObject *
Meter_reset(Meter *self, PyObject *unused)
{
    return PyLong_FromLongLong(atomic_exchange(&self->value, 0));
}

static PyObject *
Meter_get_value(Meter *self, void *closure)
{
    return PyLong_FromLongLong(atomic_load(&self->value));
}

static PyObject *
Meter_get_high(Meter *self, void *closure)
{
    return PyLong_FromLongLong(atomic_load(&self->high));
}

static PyMethodDef Meter_methods[] = {
    {"hit", (PyCFunction)Meter_hit, METH_VARARGS, "hit(times=1, /)\n--\n\nCount, and return the new value."},
    {"reset", (PyCFunction)Meter_reset, METH_NOARGS, "reset()\n--\n\nBack to zero; returns the old value."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef Meter_getset[] = {
    {"value", (getter)Meter_get_value, NULL, NULL, NULL},
    {"high", (getter)Meter_get_high, NULL, "The highest value so far.", NULL},
    {NULL},
};

static PyType_Slot Meter_slots[] = {
    {Py_tp_new, Meter_new},
    {Py_tp_dealloc, Meter_dealloc},
    {Py_tp_methods, Meter_methods},
    {Py_tp_getset, Meter_getset},
    {0, NULL},
};

static PyType_Spec Meter_spec = {
    .name = "hitmeter.Meter", .basicsize = sizeof(Meter), .flags = Py_TPFLAGS_DEFAULT, .slots = Meter_slots,
};

static PyObject *
total(PyObject *module, PyObject *unused)
{
    return Py_BuildValue("iK", atomic_load(&meters), (unsigned long long)atomic_load(&hits_of_all));
}

static PyMethodDef functions[] = {
    {"total", total, METH_NOARGS, "total()\n--\n\nHow many meters exist, and how many hits there were in all."},
    {NULL, NULL, 0, NULL},
};

static int
exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Meter_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Meter", type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {
    PyModuleDef_HEAD_INIT, .m_name = "hitmeter", .m_methods = functions, .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_hitmeter(void)
{
    return PyModuleDef_Init(&def);
}
