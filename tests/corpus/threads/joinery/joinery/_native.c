#include <Python.h>

static PyObject *
join(PyObject *module, PyObject *args)
{
    PyObject *parts, *separator = NULL;

    if (!PyArg_ParseTuple(args, "O!|U:join", &PyList_Type, &parts, &separator))
        return NULL;
    PyUnicodeWriter *writer = PyUnicodeWriter_Create(0);
    if (writer == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(parts); i++) {
        PyObject *part = PyList_GET_ITEM(parts, i);
        if (!PyUnicode_Check(part)) {
            PyErr_Format(PyExc_TypeError, "part %zd is %T, not str", i, part);
            goto failed;
        }
        if (i > 0 && separator != NULL && PyUnicodeWriter_WriteStr(writer, separator) < 0)
            goto failed;
        if (PyUnicodeWriter_WriteStr(writer, part) < 0)
            goto failed;
    }
    return PyUnicodeWriter_Finish(writer);
failed:
    PyUnicodeWriter_Discard(writer);
    return NULL;
}

static PyObject *
total_length(PyObject *module, PyObject *parts)
{
    Py_ssize_t total = 0;

    if (!PyList_Check(parts)) {
        PyErr_SetString(PyExc_TypeError, "parts must be a list");
        return NULL;
    }
    Py_ssize_t count = PyList_Size(parts);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *part = PyList_GetItemRef(parts, i);
        if (part == NULL)
            return NULL;
        Py_ssize_t length = PyUnicode_Check(part) ? PyUnicode_GetLength(part) : -1;
        Py_DECREF(part);
        if (length < 0) {
            PyErr_SetString(PyExc_TypeError, "every part must be str");
            return NULL;
        }
        total += length;
    }
    return PyLong_FromSsize_t(total);
}

static PyObject *
common_prefix(PyObject *module, PyObject *args)
{
    PyObject *first, *second;

    if (!PyArg_ParseTuple(args, "UU:common_prefix", &first, &second))
        return NULL;
    Py_ssize_t limit = Py_MIN(PyUnicode_GET_LENGTH(first), PyUnicode_GET_LENGTH(second));
    Py_ssize_t i = 0;
    while (i < limit && PyUnicode_READ_CHAR(first, i) == PyUnicode_READ_CHAR(second, i))
        i++;
    return PyUnicode_Substring(first, 0, i);
}

static PyMethodDef methods[] = {
    {"join", join, METH_VARARGS, "join(parts, separator='', /)\n--\n\nOne string of many."},
    {"total_length", total_length, METH_O, "total_length(parts, /)\n--\n\nCharacters in all parts."},
    {"common_prefix", common_prefix, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
    {0, NULL},
};

static struct PyModuleDef def = {
    PyModuleDef_HEAD_INIT, .m_name = "joinery._native", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    return PyModuleDef_Init(&def);
}
