#include <Python.h>

#define WORK 512

static const struct {
    Py_UCS4 from;
    Py_UCS4 to;
} folds[] = {
    {0xC0, 'a'}, {0xC1, 'a'}, {0xC2, 'a'}, {0xC4, 'a'}, {0xC7, 'c'}, {0xC8, 'e'}, {0xC9, 'e'}, {0xCA, 'e'},
    {0xD1, 'n'}, {0xD3, 'o'}, {0xD6, 'o'}, {0xDC, 'u'}, {0xE0, 'a'}, {0xE1, 'a'}, {0xE2, 'a'}, {0xE4, 'a'},
    {0xE7, 'c'}, {0xE8, 'e'}, {0xE9, 'e'}, {0xEA, 'e'}, {0xF1, 'n'}, {0xF3, 'o'}, {0xF6, 'o'}, {0xFC, 'u'},
};

static Py_UCS4 work[WORK];

static Py_UCS4
fold_one(Py_UCS4 c)
{
    if (c < 128)
        return Py_TOLOWER(c);
    for (size_t i = 0; i < Py_ARRAY_LENGTH(folds); i++)
        if (folds[i].from == c)
            return folds[i].to;
    return c;
}

static PyObject *
fold_ascii(PyObject *name)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(name);
    PyObject *result = PyUnicode_New(length, 127);
    if (result == NULL)
        return NULL;
    const Py_UCS1 *from = PyUnicode_1BYTE_DATA(name);
    Py_UCS1 *to = PyUnicode_1BYTE_DATA(result);
    for (Py_ssize_t i = 0; i < length; i++)
        to[i] = (Py_UCS1)Py_TOLOWER(from[i]);
    return result;
}

static PyObject *
fold_wide(PyObject *name)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(name);
    if (length > WORK) {
        PyErr_Format(PyExc_ValueError, "a name has at most %d characters", WORK);
        return NULL;
    }
    int kind = PyUnicode_KIND(name);
    const void *data = PyUnicode_DATA(name);
    for (Py_ssize_t i = 0; i < length; i++)
        work[i] = fold_one(PyUnicode_READ(kind, data, i));
    return PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, work, length);
}

static PyObject *
fold(PyObject *module, PyObject *name)
{
    if (!PyUnicode_Check(name)) {
        PyErr_Format(PyExc_TypeError, "a name is a str, not %T", name);
        return NULL;
    }
    return PyUnicode_IS_ASCII(name) ? fold_ascii(name) : fold_wide(name);
}

static PyObject *
same(PyObject *module, PyObject *args)
{
    PyObject *first, *second;
    if (!PyArg_ParseTuple(args, "UU:same", &first, &second))
        return NULL;
    Py_ssize_t length = PyUnicode_GET_LENGTH(first);
    if (PyUnicode_GET_LENGTH(second) != length)
        Py_RETURN_FALSE;
    for (Py_ssize_t i = 0; i < length; i++)
        if (fold_one(PyUnicode_READ_CHAR(first, i)) != fold_one(PyUnicode_READ_CHAR(second, i)))
            Py_RETURN_FALSE;
    Py_RETURN_TRUE;
}

static PyMethodDef methods[] = {
    {"fold", fold, METH_O, "fold(name, /)\n--\n\nThe name in lower case and without accents."},
    {"same", same, METH_VARARGS, "same(first, second, /)\n--\n\nAre two names equal, but for case and accents?"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "_fold", .m_methods = methods, .m_slots = slots};

PyMODINIT_FUNC
PyInit__fold(void)
{
    return PyModuleDef_Init(&def);
}
