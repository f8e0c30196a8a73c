#include <Python.h>

static long passed;

static PyObject *
turnstile_pass(PyObject *module, PyObject *unused)
{
    passed += 1;
    return PyLong_FromLong(passed);
}

static PyObject *
turnstile_count(PyObject *module, PyObject *unused)
{
    return PyLong_FromLong(passed);
}

static PyMethodDef methods[] = {
    {"pass_through", turnstile_pass, METH_NOARGS, "pass_through()\n--\n\nCount a visitor; returns the visitor's number."},
    {"count", turnstile_count, METH_NOARGS, "count()\n--\n\nHow many visitors there were."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {
    PyModuleDef_HEAD_INIT, .m_name = "turnstile", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_turnstile(void)
{
    return PyModuleDef_Init(&def);
}
