#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <time.h>

typedef struct {
    PyObject_HEAD
    int primed;
} Pump;

static PyObject *
Pump_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (!PyArg_ParseTuple(args, ":Pump"))
        return NULL;
    return type->tp_alloc(type, 0);
}

static void
plain_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* Waits until the pump is primed, whatever signals come. */
static PyObject *
Pump_deliver(Pump *self, PyObject *args)
{
    PyObject *amount = Py_None;
    if (!PyArg_ParseTuple(args, "|O:deliver", &amount))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    while (!__atomic_load_n(&self->primed, __ATOMIC_ACQUIRE)) {
        struct timespec pause = {0, 1000000};
        nanosleep(&pause, NULL);
    }
    Py_END_ALLOW_THREADS
    return Py_NewRef(amount);
}

static PyMethodDef Pump_methods[] = {
    {"deliver", (PyCFunction)Pump_deliver, METH_VARARGS, "deliver(amount=None) -> object"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Pump_slots[] = {
    {Py_tp_new, Pump_new},
    {Py_tp_dealloc, plain_dealloc},
    {Py_tp_methods, Pump_methods},
    {0, NULL},
};

static PyType_Spec Pump_spec = {
    .name = "brinepump.Pump",
    .basicsize = sizeof(Pump),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Pump_slots,
};

typedef struct {
    PyObject_HEAD
    long readings;
    long sum;
} Tally;

static PyObject *
Tally_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (!PyArg_ParseTuple(args, ":Tally"))
        return NULL;
    return type->tp_alloc(type, 0);
}

static PyObject *
Tally_enter(Tally *self, PyObject *reading)
{
    long number = PyLong_AsLong(reading);
    if (number == -1 && PyErr_Occurred())
        return NULL;
    self->readings++;
    self->sum += number;
    Py_RETURN_NONE;
}

static PyObject *
Tally_mean(Tally *self, PyObject *ignored)
{
    return PyFloat_FromDouble(self->readings ? (double)self->sum / self->readings : 0.0);
}

static PyMethodDef Tally_methods[] = {
    {"enter", (PyCFunction)Tally_enter, METH_O, "enter(reading: int) -> None"},
    {"mean", (PyCFunction)Tally_mean, METH_NOARGS, "mean() -> float"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Tally_slots[] = {
    {Py_tp_new, Tally_new},
    {Py_tp_dealloc, plain_dealloc},
    {Py_tp_methods, Tally_methods},
    {0, NULL},
};

static PyType_Spec Tally_spec = {
    .name = "brinepump.Tally",
    .basicsize = sizeof(Tally),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Tally_slots,
};

static int
brinepump_exec(PyObject *module)
{
    PyObject *pump = PyType_FromModuleAndSpec(module, &Pump_spec, NULL);
    if (pump == NULL || PyModule_Add(module, "Pump", pump) < 0)
        return -1;
    PyObject *tally = PyType_FromModuleAndSpec(module, &Tally_spec, NULL);
    return tally == NULL ? -1 : PyModule_Add(module, "Tally", tally);
}

static PyModuleDef_Slot brinepump_slots[] = {
    {Py_mod_exec, brinepump_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef brinepump = {PyModuleDef_HEAD_INIT, .m_name = "brinepump", .m_slots = brinepump_slots};

PyMODINIT_FUNC
PyInit_brinepump(void)
{
    return PyModuleDef_Init(&brinepump);
}
