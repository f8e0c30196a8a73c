#include <Python.h>

#define ROOM 128

static _Thread_local char scratch[ROOM];
static _Thread_local unsigned int calls;

static char *
grouped(unsigned long long number, char separator)
{
    char *at = scratch + ROOM - 1;
    int digits = 0;

    *at = '\0';
    do {
        if (digits > 0 && digits % 3 == 0)
            *--at = separator;
        *--at = (char)('0' + number % 10);
        number /= 10;
        digits++;
    } while (number > 0);
    calls++;
    return at;
}

static PyObject *
thousands(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"number", "separator", NULL};
    long long number;
    int separator = ',';

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "L|C:thousands", names, &number, &separator))
        return NULL;
    if (separator < 32 || separator > 126) {
        PyErr_SetString(PyExc_ValueError, "separator must be a printable ASCII character");
        return NULL;
    }
    unsigned long long size = number < 0 ? 0ULL - (unsigned long long)number : (unsigned long long)number;
    char *text = grouped(size, (char)separator);
    if (number < 0)
        *--text = '-';
    return PyUnicode_FromString(text);
}

static PyObject *
filesize(PyObject *module, PyObject *arg)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    unsigned long long bytes = PyLong_AsUnsignedLongLong(arg);
    if (bytes == (unsigned long long)-1 && PyErr_Occurred())
        return NULL;
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < Py_ARRAY_LENGTH(units)) {
        value /= 1000;
        unit++;
    }
    snprintf(scratch, ROOM, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    calls++;
    return PyUnicode_FromString(scratch);
}

static PyObject *
calls_here(PyObject *module, PyObject *unused)
{
    return PyLong_FromUnsignedLong(calls);
}

static PyMethodDef methods[] = {
    {"thousands", (PyCFunction)(void (*)(void))thousands, METH_VARARGS | METH_KEYWORDS,
     "thousands(number, separator=',')\n--\n\n1234567 is '1,234,567'."},
    {"filesize", filesize, METH_O, "filesize(bytes, /)\n--\n\n1500 is '1.5 kB'."},
    {"calls", calls_here, METH_NOARGS, "calls()\n--\n\nNumbers formatted by the calling thread."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {
    PyModuleDef_HEAD_INIT, .m_name = "numspell", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_numspell(void)
{
    return PyModuleDef_Init(&def);
}
