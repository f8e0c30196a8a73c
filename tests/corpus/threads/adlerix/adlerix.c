/* CRC-32C (Castagnoli), eight bytes at a time. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

#define POLYNOMIAL 0x82F63B78u

static uint32_t table[8][256];
static int table_ready = 0;

static uint32_t
update(uint32_t crc, const unsigned char *data, Py_ssize_t length)
{
    crc = ~crc;
    for (; length >= 8; data += 8, length -= 8) {
        uint32_t next = 0;
        for (int i = 0; i < 8; i++) {
            unsigned char byte = data[i] ^ (i < 4 ? (unsigned char)(crc >> (8 * i)) : 0);
            next ^= table[7 - i][byte];
        }
        crc = next;
    }
    while (length-- > 0)
        crc = (crc >> 8) ^ table[0][(crc ^ *data++) & 255];
    return ~crc;
}

static PyObject *
crc32c(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"data", "value", NULL};
    Py_buffer view;
    unsigned int value = 0;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y*|I:crc32c", names, &view, &value))
        return NULL;
    uint32_t crc = update(value, view.buf, view.len);
    PyBuffer_Release(&view);
    return PyLong_FromUnsignedLong(crc);
}

static PyObject *
combine(PyObject *module, PyObject *parts)
{
    uint32_t crc = 0;
    PyObject *iterator = PyObject_GetIter(parts), *part;
    if (iterator == NULL)
        return NULL;
    while ((part = PyIter_Next(iterator)) != NULL) {
        Py_buffer view;
        if (PyObject_GetBuffer(part, &view, PyBUF_SIMPLE) == 0) {
            crc = update(crc, view.buf, view.len);
            PyBuffer_Release(&view);
        }
        Py_DECREF(part);
        if (PyErr_Occurred())
            break;
    }
    Py_DECREF(iterator);
    return PyErr_Occurred() ? NULL : PyLong_FromUnsignedLong(crc);
}

static PyMethodDef methods[] = {
    {"crc32c", (PyCFunction)(void (*)(void))crc32c, METH_VARARGS | METH_KEYWORDS,
     "crc32c(data, value=0)\n--\n\nChecksum of data, continuing from value."},
    {"combine", combine, METH_O, "combine(parts, /)\n--\n\nChecksum of all parts in a row."},
    {NULL, NULL, 0, NULL},
};

static int
exec(PyObject *module)
{
    if (table_ready)
        return 0;
    for (unsigned int byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? (crc >> 1) ^ POLYNOMIAL : crc >> 1;
        table[0][byte] = crc;
    }
    for (int slice = 1; slice < 8; slice++)
        for (unsigned int byte = 0; byte < 256; byte++)
            table[slice][byte] = (table[slice - 1][byte] >> 8) ^ table[0][table[slice - 1][byte] & 255];
    table_ready = 1;
    return PyModule_AddIntConstant(module, "POLYNOMIAL", (long)POLYNOMIAL);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, exec},
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef def = {
    PyModuleDef_HEAD_INIT, .m_name = "adlerix", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_adlerix(void)
{
    return PyModuleDef_Init(&def);
}
