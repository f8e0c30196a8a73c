#include <Python.h>
#include <stdint.h>

typedef struct {
    PyObject_HEAD
    uint32_t address;
    int bits;
} Network;

static const char *
dotted(uint32_t address)
{
    static char text[16];
    snprintf(text, sizeof(text), "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255);
    return text;
}

static uint32_t
mask(int bits)
{
    return bits == 0 ? 0 : UINT32_MAX << (32 - bits);
}

static int
parse(const char *text, uint32_t *address, int *bits)
{
    unsigned int a, b, c, d, n = 32;
    char rest;
    int found = sscanf(text, "%3u.%3u.%3u.%3u/%2u%c", &a, &b, &c, &d, &n, &rest);
    if ((found != 4 && found != 5) || a > 255 || b > 255 || c > 255 || d > 255 || n > 32) {
        PyErr_Format(PyExc_ValueError, "'%s' is not an IPv4 network", text);
        return -1;
    }
    *address = a << 24 | b << 16 | c << 8 | d;
    *bits = (int)n;
    return 0;
}

static PyObject *
Network_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"text", NULL};
    const char *text;
    uint32_t address;
    int bits;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s:Network", names, &text) || parse(text, &address, &bits) < 0)
        return NULL;
    Network *self = (Network *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->address = address & mask(bits);
        self->bits = bits;
    }
    return (PyObject *)self;
}

static void
Network_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
Network_repr(Network *self)
{
    return PyUnicode_FromFormat("Network('%s/%d')", dotted(self->address), self->bits);
}

static int
Network_contains(Network *self, PyObject *item)
{
    uint32_t address;
    int bits;
    const char *text = PyUnicode_AsUTF8(item);
    if (text == NULL || parse(text, &address, &bits) < 0)
        return -1;
    return bits >= self->bits && (address & mask(self->bits)) == self->address;
}

static Py_hash_t
Network_hash(Network *self)
{
    Py_hash_t hash = (Py_hash_t)self->address * 33 + self->bits;
    return hash == -1 ? -2 : hash;
}

static PyObject *
Network_compare(PyObject *left, PyObject *right, int op)
{
    if (Py_TYPE(left) != Py_TYPE(right))
        Py_RETURN_NOTIMPLEMENTED;
    Network *a = (Network *)left, *b = (Network *)right;
    if (a->address == b->address)
        Py_RETURN_RICHCOMPARE(a->bits, b->bits, op);
    Py_RETURN_RICHCOMPARE(a->address, b->address, op);
}

static PyObject *
Network_get_size(Network *self, void *closure)
{
    return PyLong_FromUnsignedLongLong(1ULL << (32 - self->bits));
}

static PyGetSetDef Network_getset[] = {{"size", (getter)Network_get_size, NULL, "Number of addresses.", NULL}, {NULL}};

static PyType_Slot Network_slots[] = {
    {Py_tp_doc, "Network(text)\n--\n\nFor example Network('10.1.0.0/16')."},
    {Py_tp_new, Network_new},
    {Py_tp_dealloc, Network_dealloc},
    {Py_tp_repr, Network_repr},
    {Py_tp_hash, Network_hash},
    {Py_tp_richcompare, Network_compare},
    {Py_tp_getset, Network_getset},
    {Py_sq_contains, Network_contains},
    {0, NULL},
};

static PyType_Spec Network_spec = {
    .name = "ipspan.Network", .basicsize = sizeof(Network), .flags = Py_TPFLAGS_DEFAULT, .slots = Network_slots,
};

static int
exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Network_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Network", type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "ipspan", .m_slots = slots};

PyMODINIT_FUNC
PyInit_ipspan(void)
{
    return PyModuleDef_Init(&def);
}
