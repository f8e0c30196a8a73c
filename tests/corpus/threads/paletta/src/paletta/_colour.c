#include <Python.h>

static PyObject *
from_hex(PyObject *module, PyObject *arg)
{
    const char *text = PyUnicode_AsUTF8(arg);
    unsigned int red, green, blue;
    char rest;

    if (text == NULL)
        return NULL;
    if (strlen(text) != 7 || sscanf(text, "#%2x%2x%2x%c", &red, &green, &blue, &rest) != 3) {
        PyErr_Format(PyExc_ValueError, "%R is not like '#rrggbb'", arg);
        return NULL;
    }
    return Py_BuildValue("III", red, green, blue);
}

static PyObject *
mix(PyObject *module, PyObject *args)
{
    unsigned char a[3], b[3];
    double share = 0.5;

    if (!PyArg_ParseTuple(args, "(bbb)(bbb)|d:mix", &a[0], &a[1], &a[2], &b[0], &b[1], &b[2], &share))
        return NULL;
    if (share < 0 || share > 1) {
        PyErr_SetString(PyExc_ValueError, "share must be between 0 and 1");
        return NULL;
    }
    int mixed[3];
    for (int i = 0; i < 3; i++)
        mixed[i] = (int)(a[i] * (1 - share) + b[i] * share + 0.5);
    return Py_BuildValue("iii", mixed[0], mixed[1], mixed[2]);
}

static PyMethodDef methods[] = {
    {"from_hex", from_hex, METH_O, "from_hex('#rrggbb') -> (red, green, blue)"},
    {"mix", mix, METH_VARARGS, "mix(colour, colour, share=0.5) -> colour"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "_colour", .m_methods = methods, .m_slots = slots};

PyMODINIT_FUNC
PyInit__colour(void)
{
    return PyModuleDef_Init(&def);
}
