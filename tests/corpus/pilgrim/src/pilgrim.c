#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *
twice(PyObject *self, PyObject *arg)
{
    return PyNumber_Add(arg, arg);
}

static PyMethodDef methods[] = {
    {"twice", twice, METH_O, "twice(x) -> x + x"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pilgrim",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_pilgrim(void)
{
    return PyModuleDef_Init(&module);
}
