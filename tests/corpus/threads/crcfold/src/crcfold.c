/* CRC-64/XZ, sixteen bytes at a time. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

#define POLYNOMIAL UINT64_C(0xC96C5795D7870F42)
#define SLICES 16

static uint64_t table[SLICES][256];
static int table_ready = 0;

static void
prepare_table(void)
{
    if (table_ready)
        return;
    table_ready = 1;
    for (unsigned int byte = 0; byte < 256; byte++) {
        uint64_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? (crc >> 1) ^ POLYNOMIAL : crc >> 1;
        table[0][byte] = crc;
    }
    for (int slice = 1; slice < SLICES; slice++)
        for (unsigned int byte = 0; byte < 256; byte++)
            table[slice][byte] = (table[slice - 1][byte] >> 8) ^ table[0][table[slice - 1][byte] & 255];
}

static uint64_t
update(uint64_t crc, const unsigned char *data, Py_ssize_t length)
{
    prepare_table();
    crc = ~crc;
    for (; length >= SLICES; data += SLICES, length -= SLICES) {
        uint64_t next = 0;
        for (int i = 0; i < SLICES; i++) {
            unsigned char byte = data[i] ^ (i < 8 ? (unsigned char)(crc >> (8 * i)) : 0);
            next ^= table[SLICES - 1 - i][byte];
        }
        crc = next;
    }
    while (length-- > 0)
        crc = (crc >> 8) ^ table[0][(crc ^ *data++) & 255];
    return ~crc;
}

static PyObject *
crc64(PyObject *module, PyObject *args)
{
    Py_buffer view;
    unsigned long long start = 0;

    if (!PyArg_ParseTuple(args, "y*|K:crc64", &view, &start))
        return NULL;
    uint64_t crc = update(start, view.buf, view.len);
    PyBuffer_Release(&view);
    return PyLong_FromUnsignedLongLong(crc);
}

static PyObject *
hexdigest(PyObject *module, PyObject *data)
{
    Py_buffer view;
    char text[17];

    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    snprintf(text, sizeof(text), "%016llx", (unsigned long long)update(0, view.buf, view.len));
    PyBuffer_Release(&view);
    return PyUnicode_FromString(text);
}

static PyMethodDef methods[] = {
    {"crc64", crc64, METH_VARARGS, "crc64(data, start=0, /)\n--\n\nChecksum of data, continuing from start."},
    {"hexdigest", hexdigest, METH_O, "hexdigest(data, /)\n--\n\nChecksum as sixteen hexadecimal digits."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
    {0, NULL},
};

static struct PyModuleDef def = {
    PyModuleDef_HEAD_INIT, .m_name = "crcfold", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_crcfold(void)
{
    return PyModuleDef_Init(&def);
}
