#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>

static PyObject *
twice(PyObject *self, PyObject *arg)
{
    return PyNumber_Add(arg, arg);
}

static PyMethodDef methods[] = {
    {"twice", twice, METH_O, "twice(x) -> x + x"},
    {NULL, NULL, 0, NULL},
};

static int
prepare(PyObject *module)
{
    static const char text[] = "0123456789abcdefghij";
    char *copy = PyMem_Malloc(strlen(text));
    if (copy == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    strcpy(copy, text);
    int failed = PyModule_AddStringConstant(module, "digits", copy);
    PyMem_Free(copy);
    return failed;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, prepare},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_core",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&module);
}
