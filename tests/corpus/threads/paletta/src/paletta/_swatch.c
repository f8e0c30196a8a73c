#include <Python.h>

static PyObject *
encode(PyObject *module, PyObject *colours)
{
    if (!PyList_Check(colours)) {
        PyErr_SetString(PyExc_TypeError, "colours must be a list");
        return NULL;
    }
    Py_ssize_t count = PyList_Size(colours);
    PyObject *result = PyBytes_FromStringAndSize(NULL, 4 + 3 * count);
    if (result == NULL)
        return NULL;
    unsigned char *out = (unsigned char *)PyBytes_AsString(result);
    memcpy(out, "SWA1", 4);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *colour = PyList_GetItemRef(colours, i);
        unsigned char *at = out + 4 + 3 * i;
        int good = colour != NULL && PyArg_ParseTuple(colour, "bbb", &at[0], &at[1], &at[2]);
        Py_XDECREF(colour);
        if (!good) {
            Py_DECREF(result);
            return NULL;
        }
    }
    return result;
}

static PyMethodDef methods[] = {
    {"encode", encode, METH_O, "encode(colours) -> bytes"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "_swatch", .m_methods = methods};

PyMODINIT_FUNC
PyInit__swatch(void)
{
    return PyModuleDef_Init(&def);
}
