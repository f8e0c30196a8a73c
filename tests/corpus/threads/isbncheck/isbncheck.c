#define PY_SSIZE_T_CLEAN
#include <Python.h>

typedef struct {
    PyObject_HEAD
    char digits[14];
    Py_hash_t hash; /* -1 until asked for */
} Isbn;

static int
check_digit(const char *digits)
{
    int sum = 0;
    for (int i = 0; i < 12; i++)
        sum += (digits[i] - '0') * (i % 2 ? 3 : 1);
    return (10 - sum % 10) % 10;
}

static int
parse(const char *text, char *digits)
{
    int used = 0;
    for (; *text != '\0'; text++) {
        if (*text == '-' || *text == ' ')
            continue;
        if (*text < '0' || *text > '9' || used == 13)
            return -1;
        digits[used++] = *text;
    }
    digits[used] = '\0';
    return used == 13 && digits[12] - '0' == check_digit(digits) ? 0 : -1;
}

static PyObject *
Isbn_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"text", NULL};
    const char *text;
    char digits[14];

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s:Isbn", names, &text))
        return NULL;
    if (parse(text, digits) < 0) {
        PyErr_Format(PyExc_ValueError, "'%s' is not an ISBN of 13 digits", text);
        return NULL;
    }
    Isbn *self = (Isbn *)type->tp_alloc(type, 0);
    if (self != NULL) {
        memcpy(self->digits, digits, sizeof(digits));
        self->hash = -1;
    }
    return (PyObject *)self;
}

static void
Isbn_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static Py_hash_t
Isbn_hash(Isbn *self)
{
    if (self->hash == -1) {
        PyObject *fields = Py_BuildValue("s#s#i", self->digits, (Py_ssize_t)3, self->digits + 3, (Py_ssize_t)9,
                                         check_digit(self->digits));
        if (fields == NULL)
            return -1;
        self->hash = PyObject_Hash(fields);
        Py_DECREF(fields);
    }
    return self->hash;
}

static PyObject *
Isbn_str(Isbn *self)
{
    return PyUnicode_FromString(self->digits);
}

static PyObject *
Isbn_compare(PyObject *left, PyObject *right, int op)
{
    if (Py_TYPE(left) != Py_TYPE(right))
        Py_RETURN_NOTIMPLEMENTED;
    int order = strcmp(((Isbn *)left)->digits, ((Isbn *)right)->digits);
    Py_RETURN_RICHCOMPARE(order, 0, op);
}

static PyObject *
Isbn_get_group(Isbn *self, void *closure)
{
    return PyUnicode_FromStringAndSize(self->digits, 3);
}

static PyGetSetDef Isbn_getset[] = {{"prefix", (getter)Isbn_get_group, NULL, "'978' or '979'.", NULL}, {NULL}};

static PyType_Slot Isbn_slots[] = {
    {Py_tp_doc, "Isbn(text)\n--\n\nFor example Isbn('978-0-306-40615-7')."},
    {Py_tp_new, Isbn_new},
    {Py_tp_dealloc, Isbn_dealloc},
    {Py_tp_hash, Isbn_hash},
    {Py_tp_str, Isbn_str},
    {Py_tp_richcompare, Isbn_compare},
    {Py_tp_getset, Isbn_getset},
    {0, NULL},
};

static PyType_Spec Isbn_spec = {
    .name = "isbncheck.Isbn", .basicsize = sizeof(Isbn), .flags = Py_TPFLAGS_DEFAULT, .slots = Isbn_slots,
};

static PyObject *
is_valid(PyObject *module, PyObject *arg)
{
    char digits[14];
    const char *text = PyUnicode_AsUTF8(arg);
    return text == NULL ? NULL : PyBool_FromLong(parse(text, digits) == 0);
}

static PyMethodDef functions[] = {
    {"is_valid", is_valid, METH_O, "is_valid(text: str) -> bool"},
    {NULL, NULL, 0, NULL},
};

static int
exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Isbn_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Isbn", type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {
    PyModuleDef_HEAD_INIT, .m_name = "isbncheck", .m_methods = functions, .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_isbncheck(void)
{
    return PyModuleDef_Init(&def);
}
