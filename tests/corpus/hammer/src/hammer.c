#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *
blows(PyObject *self, PyObject *args)
{
    return PyLong_FromLong(BLOWS);
}

static PyMethodDef methods[] = {
    {"blows", blows, METH_NOARGS, "blows() -> what was known when it was compiled"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "hammer",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_hammer(void)
{
    return PyModuleDef_Init(&module);
}
