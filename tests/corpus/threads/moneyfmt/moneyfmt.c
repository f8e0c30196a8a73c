#include <Python.h>

typedef struct {
    PyObject_HEAD
    PyObject *symbol;
    int decimals;
} Style;

static PyTypeObject *Style_type;
static PyObject *default_style = NULL;

static PyObject *
Style_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"symbol", "decimals", NULL};
    PyObject *symbol = NULL;
    int decimals = 2;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|Ui:Style", names, &symbol, &decimals))
        return NULL;
    if (decimals < 0 || decimals > 6) {
        PyErr_SetString(PyExc_ValueError, "decimals must be between 0 and 6");
        return NULL;
    }
    Style *self = (Style *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->decimals = decimals;
    self->symbol = symbol ? Py_NewRef(symbol) : PyUnicode_FromString("EUR");
    return (PyObject *)self;
}

static void
Style_dealloc(Style *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_CLEAR(self->symbol);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
Style_format(Style *self, PyObject *arg)
{
    long long minor = PyLong_AsLongLong(arg);
    if (minor == -1 && PyErr_Occurred())
        return NULL;
    long long unit = 1;
    for (int i = 0; i < self->decimals; i++)
        unit *= 10;
    unsigned long long size = minor < 0 ? 0ULL - (unsigned long long)minor : (unsigned long long)minor;
    char number[48];
    if (self->decimals == 0)
        snprintf(number, sizeof(number), "%s%llu", minor < 0 ? "-" : "", size);
    else
        snprintf(number, sizeof(number), "%s%llu.%0*llu", minor < 0 ? "-" : "", size / unit, self->decimals, size % unit);
    return PyUnicode_FromFormat("%s %U", number, self->symbol);
}

static PyObject *
Style_get_symbol(Style *self, void *closure)
{
    return Py_NewRef(self->symbol);
}

static PyGetSetDef Style_getset[] = {{"symbol", (getter)Style_get_symbol, NULL, "Currency.", NULL}, {NULL}};

static PyMethodDef Style_methods[] = {
    {"format", (PyCFunction)Style_format, METH_O, "format(minor, /)\n--\n\nText of an amount in minor units."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Style_slots[] = {
    {Py_tp_doc, "Style(symbol='EUR', decimals=2)"},
    {Py_tp_new, Style_new},
    {Py_tp_dealloc, Style_dealloc},
    {Py_tp_methods, Style_methods},
    {Py_tp_getset, Style_getset},
    {0, NULL},
};

static PyType_Spec Style_spec = {
    .name = "moneyfmt.Style", .basicsize = sizeof(Style), .flags = Py_TPFLAGS_DEFAULT, .slots = Style_slots,
};

static PyObject *
get_default(PyObject *module, PyObject *unused)
{
    if (default_style == NULL) {
        default_style = PyObject_CallNoArgs((PyObject *)Style_type);
        if (default_style == NULL)
            return NULL;
    }
    return Py_NewRef(default_style);
}

static PyObject *
set_default(PyObject *module, PyObject *style)
{
    if (style != Py_None && !Py_IS_TYPE(style, Style_type)) {
        PyErr_SetString(PyExc_TypeError, "the default must be a Style, or None for the built-in one");
        return NULL;
    }
    PyObject *old = default_style;
    default_style = style == Py_None ? NULL : Py_NewRef(style);
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

static PyObject *
format_amount(PyObject *module, PyObject *amount)
{
    PyObject *style = get_default(module, NULL);
    if (style == NULL)
        return NULL;
    PyObject *text = Style_format((Style *)style, amount);
    Py_DECREF(style);
    return text;
}

static PyMethodDef functions[] = {
    {"get_default", get_default, METH_NOARGS, "get_default() -> Style"},
    {"set_default", set_default, METH_O, "set_default(style: Style | None) -> None"},
    {"format_amount", format_amount, METH_O, "format_amount(minor: int) -> str"},
    {NULL, NULL, 0, NULL},
};

static int
exec(PyObject *module)
{
    Style_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &Style_spec, NULL);
    return Style_type == NULL ? -1 : PyModule_AddType(module, Style_type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {
    PyModuleDef_HEAD_INIT, .m_name = "moneyfmt", .m_methods = functions, .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_moneyfmt(void)
{
    return PyModuleDef_Init(&def);
}
