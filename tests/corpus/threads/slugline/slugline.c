#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <ctype.h>

static PyObject *
slug(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"title", "max_length", NULL};
    const char *title;
    Py_ssize_t length, limit = 80, used = 0;
    char text[256];

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s#|n:slug", names, &title, &length, &limit))
        return NULL;
    if (limit < 1 || limit > (Py_ssize_t)sizeof(text)) {
        PyErr_SetString(PyExc_ValueError, "max_length must be between 1 and 256");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < length && used < limit; i++) {
        unsigned char c = (unsigned char)title[i];
        if (c < 128 && isalnum(c))
            text[used++] = (char)tolower(c);
        else if (used > 0 && text[used - 1] != '-')
            text[used++] = '-';
    }
    if (used > 0 && text[used - 1] == '-')
        used--;
    return PyUnicode_FromStringAndSize(text, used);
}

static PyMethodDef methods[] = {
    {"slug", (PyCFunction)(void (*)(void))slug, METH_VARARGS | METH_KEYWORDS, "slug(title, max_length=80)"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "slugline", .m_size = 0, .m_methods = methods};

PyMODINIT_FUNC
PyInit_slugline(void)
{
    return PyModuleDef_Init(&def);
}
