#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define PER_ROW 16
#define HEX_AT 10
#define TEXT_AT (HEX_AT + PER_ROW * 3 + 1)
#define ROW_LENGTH (TEXT_AT + PER_ROW)

static char row_text[ROW_LENGTH];

static void
fill_row(const unsigned char *data, Py_ssize_t length, unsigned int offset)
{
    static const char digits[] = "0123456789abcdef";

    memset(row_text, ' ', ROW_LENGTH);
    for (int i = 0; i < 8; i++)
        row_text[i] = digits[(offset >> (28 - 4 * i)) & 15];
    for (Py_ssize_t i = 0; i < length; i++) {
        row_text[HEX_AT + 3 * i] = digits[data[i] >> 4];
        row_text[HEX_AT + 3 * i + 1] = digits[data[i] & 15];
        row_text[TEXT_AT + i] = data[i] >= 32 && data[i] < 127 ? (char)data[i] : '.';
    }
}

static PyObject *
row(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"data", "offset", NULL};
    Py_buffer view;
    unsigned int offset = 0;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y*|I:row", names, &view, &offset))
        return NULL;
    if (view.len > PER_ROW) {
        PyBuffer_Release(&view);
        PyErr_Format(PyExc_ValueError, "a row has at most %d bytes", PER_ROW);
        return NULL;
    }
    fill_row(view.buf, view.len, offset);
    PyObject *text = PyUnicode_FromStringAndSize(row_text, TEXT_AT + view.len);
    PyBuffer_Release(&view);
    return text;
}

static PyObject *
dump(PyObject *module, PyObject *arg)
{
    Py_buffer view;
    if (PyObject_GetBuffer(arg, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    PyObject *rows = PyList_New(0);
    for (Py_ssize_t at = 0; rows != NULL && at < view.len; at += PER_ROW) {
        Py_ssize_t length = Py_MIN(PER_ROW, view.len - at);
        fill_row((const unsigned char *)view.buf + at, length, (unsigned int)at);
        PyObject *text = PyUnicode_FromStringAndSize(row_text, TEXT_AT + length);
        if (text == NULL || PyList_Append(rows, text) < 0)
            Py_CLEAR(rows);
        Py_XDECREF(text);
    }
    PyBuffer_Release(&view);
    return rows;
}

static PyMethodDef methods[] = {
    {"row", (PyCFunction)(void (*)(void))row, METH_VARARGS | METH_KEYWORDS,
     "row(data, offset=0)\n--\n\nOne row of up to 16 bytes."},
    {"dump", dump, METH_O, "dump(data, /)\n--\n\nAll rows of data."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {
    PyModuleDef_HEAD_INIT, .m_name = "hexview", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_hexview(void)
{
    return PyModuleDef_Init(&def);
}
