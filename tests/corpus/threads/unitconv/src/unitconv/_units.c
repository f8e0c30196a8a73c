#include <Python.h>

typedef struct {
    PyObject *factors;
    PyObject *dimensions;
    PyObject *UnitError;
} State;

static const struct {
    const char *name;
    const char *dimension;
    double factor;
} table[] = {
    {"m", "length", 1},       {"km", "length", 1000},  {"cm", "length", 0.01},  {"mi", "length", 1609.344},
    {"in", "length", 0.0254}, {"kg", "mass", 1},       {"g", "mass", 0.001},    {"lb", "mass", 0.45359237},
};

static int
look_up(State *state, PyObject *name, double *factor, PyObject **dimension)
{
    PyObject *number = PyDict_GetItemWithError(state->factors, name);
    *dimension = number == NULL ? NULL : PyDict_GetItemWithError(state->dimensions, name);
    if (*dimension == NULL) {
        if (!PyErr_Occurred())
            PyErr_Format(state->UnitError, "no unit is called %R", name);
        return -1;
    }
    *factor = PyFloat_AS_DOUBLE(number);
    return 0;
}

static PyObject *
convert(PyObject *module, PyObject *args)
{
    State *state = PyModule_GetState(module);
    PyObject *source, *target, *from, *to;
    double value, source_factor, target_factor;

    if (!PyArg_ParseTuple(args, "dUU:convert", &value, &source, &target))
        return NULL;
    if (look_up(state, source, &source_factor, &from) < 0 || look_up(state, target, &target_factor, &to) < 0)
        return NULL;
    if (from != to) {
        PyErr_Format(state->UnitError, "%U is a %U, %U is a %U", source, from, target, to);
        return NULL;
    }
    return PyFloat_FromDouble(value * source_factor / target_factor);
}

static PyObject *
units(PyObject *module, PyObject *unused)
{
    State *state = PyModule_GetState(module);
    return PyDict_Keys(state->factors);
}

static PyMethodDef methods[] = {
    {"convert", convert, METH_VARARGS, "convert(value, source, target, /)\n--\n\nThe value in another unit."},
    {"units", units, METH_NOARGS, "units()\n--\n\nNames of all units."},
    {NULL, NULL, 0, NULL},
};

static int
add_unit(State *state, size_t at)
{
    PyObject *name = PyUnicode_InternFromString(table[at].name);
    PyObject *dimension = PyUnicode_InternFromString(table[at].dimension);
    PyObject *factor = PyFloat_FromDouble(table[at].factor);
    int failed = name == NULL || dimension == NULL || factor == NULL ||
                 PyDict_SetItem(state->factors, name, factor) < 0 ||
                 PyDict_SetItem(state->dimensions, name, dimension) < 0;
    Py_XDECREF(name);
    Py_XDECREF(dimension);
    Py_XDECREF(factor);
    return failed ? -1 : 0;
}

static int
exec(PyObject *module)
{
    State *state = PyModule_GetState(module);
    state->factors = PyDict_New();
    state->dimensions = PyDict_New();
    state->UnitError = PyErr_NewException("unitconv.UnitError", PyExc_ValueError, NULL);
    if (state->factors == NULL || state->dimensions == NULL || state->UnitError == NULL)
        return -1;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(table); i++)
        if (add_unit(state, i) < 0)
            return -1;
    return PyModule_AddObjectRef(module, "UnitError", state->UnitError);
}

static int
traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    Py_VISIT(state->factors);
    Py_VISIT(state->dimensions);
    Py_VISIT(state->UnitError);
    return 0;
}

static int
clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    Py_CLEAR(state->factors);
    Py_CLEAR(state->dimensions);
    Py_CLEAR(state->UnitError);
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, exec},
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_units",
    .m_size = sizeof(State),
    .m_methods = methods,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
};

PyMODINIT_FUNC
PyInit__units(void)
{
    return PyModuleDef_Init(&def);
}
