#include <Python.h>
#include <stdlib.h>

#define BUCKETS 256

typedef struct Node {
    struct Node *chain;
    struct Node *newer, *older;
    Py_hash_t hash;
    PyObject *key, *value;
} Node;

typedef struct {
    PyObject_HEAD
    Node *buckets[BUCKETS];
    Node *newest, *oldest;
    Py_ssize_t used, capacity;
} Cache;

static int
traverse(Cache *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    for (Node *node = self->newest; node != NULL; node = node->older) {
        Py_VISIT(node->key);
        Py_VISIT(node->value);
    }
    return 0;
}

static void
unlink_node(Cache *self, Node *node)
{
    *(node->newer ? &node->newer->older : &self->newest) = node->older;
    *(node->older ? &node->older->newer : &self->oldest) = node->newer;
}

static void
put_first(Cache *self, Node *node)
{
    node->newer = NULL;
    node->older = self->newest;
    *(self->newest ? &self->newest->newer : &self->oldest) = node;
    self->newest = node;
}

static Node **
find(Cache *self, PyObject *key, Py_hash_t hash)
{
    Node **at = &self->buckets[(size_t)hash % BUCKETS];
    while (*at != NULL && ((*at)->hash != hash || !PyUnicode_Equal((*at)->key, key)))
        at = &(*at)->chain;
    return at;
}

static void
discard(Cache *self, Node **at)
{
    Node *node = *at;
    *at = node->chain;
    unlink_node(self, node);
    self->used--;
    Py_DECREF(node->key);
    Py_DECREF(node->value);
    free(node);
}

static int
clear(Cache *self)
{
    while (self->oldest != NULL)
        discard(self, find(self, self->oldest->key, self->oldest->hash));
    return 0;
}

static void
dealloc(Cache *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"capacity", NULL};
    Py_ssize_t capacity = 128;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|n:Cache", names, &capacity))
        return NULL;
    if (capacity < 1) {
        PyErr_SetString(PyExc_ValueError, "capacity must be positive");
        return NULL;
    }
    Cache *self = (Cache *)type->tp_alloc(type, 0);
    if (self != NULL)
        self->capacity = capacity;
    return (PyObject *)self;
}

static Py_hash_t
check_key(PyObject *key)
{
    if (!PyUnicode_CheckExact(key)) {
        PyErr_Format(PyExc_TypeError, "a key is a str, not %T", key);
        return -1;
    }
    return PyObject_Hash(key);
}

static PyObject *
subscript(Cache *self, PyObject *key)
{
    Py_hash_t hash = check_key(key);
    if (hash == -1)
        return NULL;
    Node *node = *find(self, key, hash);
    if (node == NULL) {
        PyErr_SetObject(PyExc_KeyError, key);
        return NULL;
    }
    unlink_node(self, node);
    put_first(self, node);
    return Py_NewRef(node->value);
}

static int
assign(Cache *self, PyObject *key, PyObject *value)
{
    Py_hash_t hash = check_key(key);
    if (hash == -1)
        return -1;
    Node **at = find(self, key, hash);
    if (value == NULL) {
        if (*at == NULL) {
            PyErr_SetObject(PyExc_KeyError, key);
            return -1;
        }
        discard(self, at);
        return 0;
    }
    if (*at != NULL) {
        Py_SETREF((*at)->value, Py_NewRef(value));
        return 0;
    }
    Node *node = malloc(sizeof(Node));
    if (node == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    *node = (Node){.hash = hash, .key = Py_NewRef(key), .value = Py_NewRef(value)};
    *at = node;
    put_first(self, node);
    if (++self->used > self->capacity)
        discard(self, find(self, self->oldest->key, self->oldest->hash));
    return 0;
}

static Py_ssize_t
length(Cache *self)
{
    return self->used;
}

static PyObject *
peek_oldest(Cache *self, PyObject *unused)
{
    return Py_NewRef(self->oldest == NULL ? Py_None : self->oldest->key);
}

static PyMethodDef methods[] = {
    {"peek_oldest", (PyCFunction)peek_oldest, METH_NOARGS, "peek_oldest()\n--\n\nThe key that goes next, or None."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot type_slots[] = {
    {Py_tp_doc, "Cache(capacity=128)\n--\n\nA mapping of str that holds a limited number of keys."},
    {Py_tp_new, new},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, methods},
    {Py_mp_length, length},
    {Py_mp_subscript, subscript},
    {Py_mp_ass_subscript, assign},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "lrukit.Cache",
    .basicsize = sizeof(Cache),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = type_slots,
};

static int
exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Cache", type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "lrukit", .m_slots = slots};

PyMODINIT_FUNC
PyInit_lrukit(void)
{
    return PyModuleDef_Init(&def);
}
