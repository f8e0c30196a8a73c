/* Ticket numbers: a prefix and a zero-padded serial that never repeats within one process. */
#include <Python.h>

#define MAX_PREFIX 16
#define MAX_WIDTH 18

static unsigned long long serial = 1;
static unsigned int stride = 1;

static PyObject *
ticketry_next(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"prefix", "width", NULL};
    const char *prefix = "T";
    int width = 6;
    char text[MAX_PREFIX + MAX_WIDTH + 8];

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|s$i:next_ticket", names, &prefix, &width))
        return NULL;
    if (strlen(prefix) > MAX_PREFIX) {
        PyErr_Format(PyExc_ValueError, "prefix is longer than %d bytes", MAX_PREFIX);
        return NULL;
    }
    if (width < 1 || width > MAX_WIDTH) {
        PyErr_Format(PyExc_ValueError, "width must be between 1 and %d", MAX_WIDTH);
        return NULL;
    }
    unsigned long long current = serial;
    int length = snprintf(text, sizeof(text), "%s-%0*llu", prefix, width, current);
    serial = current + stride;
    return PyUnicode_DecodeUTF8(text, length, "replace");
}

static PyObject *
ticketry_peek(PyObject *module, PyObject *unused)
{
    return PyLong_FromUnsignedLongLong(serial);
}

static PyObject *
ticketry_parse(PyObject *module, PyObject *arg)
{
    const char *text = PyUnicode_AsUTF8(arg);
    if (text == NULL)
        return NULL;
    const char *dash = strrchr(text, '-');
    if (dash == NULL || dash[1] < '0' || dash[1] > '9') {
        PyErr_Format(PyExc_ValueError, "not a ticket: %R", arg);
        return NULL;
    }
    return Py_BuildValue("s#K", text, (Py_ssize_t)(dash - text), strtoull(dash + 1, NULL, 10));
}

static PyObject *
ticketry_configure(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"stride", NULL};
    unsigned int value;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "I:configure", names, &value))
        return NULL;
    if (value < 1 || value > 1000) {
        PyErr_SetString(PyExc_ValueError, "stride must be between 1 and 1000");
        return NULL;
    }
    stride = value;
    Py_RETURN_NONE;
}

static PyMethodDef ticketry_methods[] = {
    {"next_ticket", (PyCFunction)(void (*)(void))ticketry_next, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("next_ticket(prefix='T', *, width=6)\n--\n\nA ticket that was not handed out before.")},
    {"peek", ticketry_peek, METH_NOARGS, PyDoc_STR("peek()\n--\n\nThe serial the next ticket will carry.")},
    {"parse", ticketry_parse, METH_O, PyDoc_STR("parse(ticket, /)\n--\n\nPrefix and serial of a ticket.")},
    {"configure", (PyCFunction)(void (*)(void))ticketry_configure, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("configure(stride)\n--\n\nDistance between serials, for processes that share a number range.")},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot ticketry_slots[] = {
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef ticketry_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "ticketry",
    .m_doc = "Short, sortable ticket numbers.",
    .m_methods = ticketry_methods,
    .m_slots = ticketry_slots,
};

PyMODINIT_FUNC
PyInit_ticketry(void)
{
    return PyModuleDef_Init(&ticketry_module);
}
