#include <Python.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct {
    PyObject_HEAD
    volatile int is_busy;
    long level;
} Cup;

static PyObject *
Cup_fill(Cup *self, PyObject *amount)
{
    long more = PyLong_AsLong(amount);
    if (more == -1 && PyErr_Occurred())
        return NULL;
    /* Elsewhere it is luck what a second thread does to the first one's memory: here the process ends at once. */
    if (self->is_busy)
        abort();
    self->is_busy = 1;
    usleep(50);
    self->level += more;
    self->is_busy = 0;
    return PyLong_FromLong(self->level);
}

static PyObject *
Cup_stir(Cup *self, PyObject *times)
{
    long count = PyLong_AsLong(times);
    if (count == -1 && PyErr_Occurred())
        return NULL;
    return PyLong_FromLong(2 * count);
}

static PyMethodDef Cup_methods[] = {
    {"fill", (PyCFunction)Cup_fill, METH_O, "fill(amount, /)\n--\n\nFill in more, and return the level."},
    {"stir", (PyCFunction)Cup_stir, METH_O, "stir(times, /)\n--\n\nStir both ways, and return how often that was."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Cup_slots[] = {
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_methods, Cup_methods},
    {0, NULL},
};

static PyType_Spec Cup_spec = {"teacup.Cup", sizeof(Cup), 0, Py_TPFLAGS_DEFAULT, Cup_slots};

static int
exec_module(PyObject *module)
{
    PyObject *cup = PyType_FromSpec(&Cup_spec);
    return cup == NULL ? -1 : PyModule_Add(module, "Cup", cup);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, exec_module},
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_core", NULL, 0, NULL, slots};

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&definition);
}
