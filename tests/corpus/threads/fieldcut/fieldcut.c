#include <Python.h>
#include <stdlib.h>
#include <string.h>

static PyObject *
fields(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"line", "separators", NULL};
    const char *line, *separators = " \t";

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|s:fields", names, &line, &separators))
        return NULL;
    if (*separators == '\0') {
        PyErr_SetString(PyExc_ValueError, "separators cannot be empty");
        return NULL;
    }
    char *copy = strdup(line);
    if (copy == NULL)
        return PyErr_NoMemory();
    PyObject *result = PyList_New(0);
    for (char *field = strtok(copy, separators); field != NULL && result != NULL; field = strtok(NULL, separators)) {
        PyObject *text = PyUnicode_DecodeUTF8(field, strlen(field), "replace");
        if (text == NULL || PyList_Append(result, text) < 0)
            Py_CLEAR(result);
        Py_XDECREF(text);
    }
    free(copy);
    return result;
}

static PyObject *
numbers(PyObject *module, PyObject *arg)
{
    const char *line = PyUnicode_AsUTF8(arg);
    if (line == NULL)
        return NULL;
    PyObject *result = PyList_New(0);
    while (result != NULL) {
        char *end;
        double value = strtod(line, &end);
        if (end == line)
            break;
        PyObject *number = PyFloat_FromDouble(value);
        if (number == NULL || PyList_Append(result, number) < 0)
            Py_CLEAR(result);
        Py_XDECREF(number);
        line = end;
    }
    return result;
}

static PyMethodDef methods[] = {
    {"fields", (PyCFunction)(void (*)(void))fields, METH_VARARGS | METH_KEYWORDS,
     "fields(line, separators=' \\t')\n--\n\nParts of a line, without empty ones."},
    {"numbers", numbers, METH_O, "numbers(line, /)\n--\n\nThe numbers that a line begins with."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {
    PyModuleDef_HEAD_INIT, .m_name = "fieldcut", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_fieldcut(void)
{
    return PyModuleDef_Init(&def);
}
