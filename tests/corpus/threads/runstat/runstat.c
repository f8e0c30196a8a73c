/* Welford's method: mean and variance in one pass. */
#include <Python.h>
#include <math.h>

typedef struct {
    PyObject_HEAD
    unsigned long long count;
    double mean;
    double m2;
    double low;
    double high;
} Stats;

static void
add(Stats *self, double value)
{
    double delta = value - self->mean;
    self->count++;
    self->mean += delta / (double)self->count;
    self->m2 += delta * (value - self->mean);
    if (self->count == 1 || value < self->low)
        self->low = value;
    if (self->count == 1 || value > self->high)
        self->high = value;
}

static PyObject *
Stats_push(Stats *self, PyObject *arg)
{
    double value = PyFloat_AsDouble(arg);
    if (value == -1.0 && PyErr_Occurred())
        return NULL;
    if (!isfinite(value)) {
        PyErr_SetString(PyExc_ValueError, "only finite numbers can be pushed");
        return NULL;
    }
    add(self, value);
    Py_RETURN_NONE;
}

static PyObject *
Stats_extend(Stats *self, PyObject *numbers)
{
    PyObject *iterator = PyObject_GetIter(numbers);
    if (iterator == NULL)
        return NULL;
    PyObject *item;
    while ((item = PyIter_Next(iterator)) != NULL) {
        PyObject *done = Stats_push(self, item);
        Py_DECREF(item);
        if (done == NULL)
            break;
        Py_DECREF(done);
    }
    Py_DECREF(iterator);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
Stats_variance(Stats *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"ddof", NULL};
    int ddof = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|i:variance", names, &ddof))
        return NULL;
    if (ddof < 0 || self->count <= (unsigned long long)ddof) {
        PyErr_SetString(PyExc_ValueError, "too few numbers for this ddof");
        return NULL;
    }
    return PyFloat_FromDouble(self->m2 / (double)(self->count - ddof));
}

static PyObject *
Stats_get_count(Stats *self, void *closure)
{
    return PyLong_FromUnsignedLongLong(self->count);
}

static PyObject *
Stats_get_mean(Stats *self, void *closure)
{
    if (self->count == 0)
        Py_RETURN_NONE;
    return PyFloat_FromDouble(self->mean);
}

static PyObject *
Stats_get_range(Stats *self, void *closure)
{
    if (self->count == 0)
        Py_RETURN_NONE;
    return Py_BuildValue("dd", self->low, self->high);
}

static PyGetSetDef Stats_getset[] = {
    {"count", (getter)Stats_get_count, NULL, "How many numbers were pushed.", NULL},
    {"mean", (getter)Stats_get_mean, NULL, "Their mean, or None.", NULL},
    {"range", (getter)Stats_get_range, NULL, "The smallest and the largest, or None.", NULL},
    {NULL},
};

static PyMethodDef Stats_methods[] = {
    {"push", (PyCFunction)Stats_push, METH_O, "push($self, value, /)\n--\n\nAdd one number."},
    {"extend", (PyCFunction)Stats_extend, METH_O, "extend($self, numbers, /)\n--\n\nAdd many numbers."},
    {"variance", (PyCFunction)(void (*)(void))Stats_variance, METH_VARARGS | METH_KEYWORDS,
     "variance($self, ddof=0)\n--\n\nVariance of what was pushed."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Stats_slots[] = {
    {Py_tp_doc, "Stats()\n--\n\nStatistics of a stream."},
    {Py_tp_methods, Stats_methods},
    {Py_tp_getset, Stats_getset},
    {0, NULL},
};

static PyType_Spec Stats_spec = {
    .name = "runstat.Stats", .basicsize = sizeof(Stats), .flags = Py_TPFLAGS_DEFAULT, .slots = Stats_slots,
};

static int
runstat_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Stats_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Stats", type);
}

static PyModuleDef_Slot runstat_slots[] = {
    {Py_mod_exec, runstat_exec},
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef runstat = {PyModuleDef_HEAD_INIT, .m_name = "runstat", .m_slots = runstat_slots};

PyMODINIT_FUNC
PyInit_runstat(void)
{
    return PyModuleDef_Init(&runstat);
}
