#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define RECENT 32

static const struct {
    int value;
    const char *letters;
} steps[] = {
    {1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"},
    {40, "XL"}, {10, "X"}, {9, "IX"}, {5, "V"}, {4, "IV"}, {1, "I"},
};

/* Years and chapter numbers repeat a lot; the last few results are kept. */
static struct {
    int number;
    PyObject *text;
} recent[RECENT];

static PyObject *
spell(int number)
{
    char text[32];
    size_t length = 0;

    for (size_t i = 0; i < Py_ARRAY_LENGTH(steps); i++) {
        while (number >= steps[i].value) {
            size_t n = strlen(steps[i].letters);
            memcpy(text + length, steps[i].letters, n);
            length += n;
            number -= steps[i].value;
        }
    }
    return PyUnicode_FromStringAndSize(text, length);
}

static PyObject *
romanum_encode(PyObject *self, PyObject *arg)
{
    int number = PyLong_AsInt(arg);
    if (number == -1 && PyErr_Occurred())
        return NULL;
    if (number < 1 || number > 3999) {
        PyErr_SetString(PyExc_ValueError, "only 1 to 3999 can be written in Roman numerals");
        return NULL;
    }
    int slot = number % RECENT;
    if (recent[slot].text != NULL && recent[slot].number == number)
        return Py_NewRef(recent[slot].text);
    PyObject *text = spell(number);
    if (text == NULL)
        return NULL;
    recent[slot].number = number;
    Py_XSETREF(recent[slot].text, Py_NewRef(text));
    return text;
}

static int
digit_value(char letter)
{
    switch (letter) {
    case 'I': return 1;
    case 'V': return 5;
    case 'X': return 10;
    case 'L': return 50;
    case 'C': return 100;
    case 'D': return 500;
    case 'M': return 1000;
    default: return 0;
    }
}

static PyObject *
romanum_decode(PyObject *self, PyObject *args)
{
    const char *text;
    Py_ssize_t length;
    long total = 0;

    if (!PyArg_ParseTuple(args, "s#:decode", &text, &length))
        return NULL;
    if (length == 0 || length > 15) {
        PyErr_SetString(PyExc_ValueError, "a Roman numeral has 1 to 15 letters");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < length; i++) {
        int here = digit_value(text[i]);
        int next = i + 1 < length ? digit_value(text[i + 1]) : 0;
        if (here == 0) {
            PyErr_Format(PyExc_ValueError, "'%c' is no Roman digit", text[i]);
            return NULL;
        }
        total += here < next ? -here : here;
    }
    return PyLong_FromLong(total);
}

static PyMethodDef methods[] = {
    {"encode", romanum_encode, METH_O, "encode(number: int) -> str"},
    {"decode", romanum_decode, METH_VARARGS, "decode(text: str) -> int"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "romanum", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_romanum(void)
{
    return PyModuleDef_Init(&module);
}
