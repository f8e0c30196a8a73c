#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <algorithm>
#include <new>
#include <vector>

namespace {

constexpr Py_ssize_t short_enough = 96;

Py_ssize_t distance(const unsigned char *a, Py_ssize_t n, const unsigned char *b, Py_ssize_t m, Py_ssize_t *row)
{
    for (Py_ssize_t j = 0; j <= m; j++)
        row[j] = j;
    for (Py_ssize_t i = 1; i <= n; i++) {
        Py_ssize_t corner = row[0];
        row[0] = i;
        for (Py_ssize_t j = 1; j <= m; j++) {
            Py_ssize_t above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, corner + (a[i - 1] != b[j - 1])});
            corner = above;
        }
    }
    return row[m];
}

/* Rows of long inputs are costly to allocate again and again. */
std::vector<Py_ssize_t> &long_row(size_t length)
{
    static std::vector<Py_ssize_t> row;
    if (row.size() < length)
        row.resize(length);
    return row;
}

bool measure(PyObject *args, const char *format, Py_ssize_t *result, Py_ssize_t *longest)
{
    Py_buffer a, b;
    if (!PyArg_ParseTuple(args, format, &a, &b))
        return false;
    bool good = true;
    *longest = std::max(a.len, b.len);
    try {
        auto *left = static_cast<const unsigned char *>(a.buf);
        auto *right = static_cast<const unsigned char *>(b.buf);
        if (b.len <= short_enough) {
            Py_ssize_t row[short_enough + 1];
            *result = distance(left, a.len, right, b.len, row);
        }
        else {
            *result = distance(left, a.len, right, b.len, long_row(b.len + 1).data());
        }
    }
    catch (const std::bad_alloc &) {
        PyErr_NoMemory();
        good = false;
    }
    PyBuffer_Release(&a);
    PyBuffer_Release(&b);
    return good;
}

PyObject *edits(PyObject *, PyObject *args)
{
    Py_ssize_t result, longest;
    if (!measure(args, "s*s*:edits", &result, &longest))
        return nullptr;
    return PyLong_FromSsize_t(result);
}

PyObject *similarity(PyObject *, PyObject *args)
{
    Py_ssize_t result, longest;
    if (!measure(args, "s*s*:similarity", &result, &longest))
        return nullptr;
    return PyFloat_FromDouble(longest == 0 ? 1.0 : 1.0 - static_cast<double>(result) / static_cast<double>(longest));
}

PyMethodDef methods[] = {
    {"edits", edits, METH_VARARGS, "edits(a, b, /)\n--\n\nHow many bytes to insert, delete or replace."},
    {"similarity", similarity, METH_VARARGS, "similarity(a, b, /)\n--\n\n1.0 for equal ones, 0.0 for nothing in common."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, nullptr}};

PyModuleDef def = {PyModuleDef_HEAD_INIT, "levendist", nullptr, 0, methods, slots, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit_levendist()
{
    return PyModuleDef_Init(&def);
}
