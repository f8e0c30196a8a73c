#include <Python.h>
#include <pthread.h>
#include <stdint.h>

typedef struct {
    PyObject_HEAD
    pthread_mutex_t mutex;
    long long stock;
    unsigned long long moves;
} Store;

static PyTypeObject *Store_type;

static PyObject *
Store_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"stock", NULL};
    long long stock = 0;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|L:Store", names, &stock))
        return NULL;
    if (stock < 0) {
        PyErr_SetString(PyExc_ValueError, "stock cannot be negative");
        return NULL;
    }
    Store *self = (Store *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    pthread_mutex_init(&self->mutex, NULL);
    self->stock = stock;
    return (PyObject *)self;
}

static void
Store_dealloc(Store *self)
{
    PyTypeObject *type = Py_TYPE(self);
    pthread_mutex_destroy(&self->mutex);
    type->tp_free(self);
    Py_DECREF(type);
}

static void
lock_both(Store *a, Store *b)
{
    Store *first = (uintptr_t)a < (uintptr_t)b ? a : b;
    pthread_mutex_lock(&first->mutex);
    pthread_mutex_lock(first == a ? &b->mutex : &a->mutex);
}

static PyObject *
Store_move(Store *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"to", "amount", NULL};
    Store *to;
    long long amount, moved;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!L:move", names, Store_type, &to, &amount))
        return NULL;
    if (amount < 1 || to == self) {
        PyErr_SetString(PyExc_ValueError, to == self ? "both stores are the same" : "amount must be positive");
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    lock_both(self, to);
    moved = Py_MIN(amount, self->stock);
    self->stock -= moved;
    to->stock += moved;
    self->moves++;
    to->moves++;
    pthread_mutex_unlock(&self->mutex);
    pthread_mutex_unlock(&to->mutex);
    Py_END_ALLOW_THREADS
    return PyLong_FromLongLong(moved);
}

static PyObject *
Store_get_stock(Store *self, void *closure)
{
    long long stock;
    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(&self->mutex);
    stock = self->stock;
    pthread_mutex_unlock(&self->mutex);
    Py_END_ALLOW_THREADS
    return PyLong_FromLongLong(stock);
}

static PyObject *
Store_get_moves(Store *self, void *closure)
{
    unsigned long long moves;
    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(&self->mutex);
    moves = self->moves;
    pthread_mutex_unlock(&self->mutex);
    Py_END_ALLOW_THREADS
    return PyLong_FromUnsignedLongLong(moves);
}

static PyMethodDef Store_methods[] = {
    {"move", (PyCFunction)(void (*)(void))Store_move, METH_VARARGS | METH_KEYWORDS,
     "move(to, amount)\n\nMove up to amount goods; how many there were to move."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef Store_getset[] = {
    {"stock", (getter)Store_get_stock, NULL, NULL, NULL}, {"moves", (getter)Store_get_moves, NULL, NULL, NULL}, {NULL},
};

static PyType_Slot Store_slots[] = {
    {Py_tp_doc, "Store(stock=0)"},
    {Py_tp_new, Store_new},
    {Py_tp_dealloc, Store_dealloc},
    {Py_tp_methods, Store_methods},
    {Py_tp_getset, Store_getset},
    {0, NULL},
};

static PyType_Spec Store_spec = {
    .name = "vaultpair.Store", .basicsize = sizeof(Store), .flags = Py_TPFLAGS_DEFAULT, .slots = Store_slots,
};

static int
exec(PyObject *module)
{
    Store_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &Store_spec, NULL);
    return Store_type == NULL ? -1 : PyModule_AddType(module, Store_type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "vaultpair", .m_slots = slots};

PyMODINIT_FUNC
PyInit_vaultpair(void)
{
    return PyModuleDef_Init(&def);
}
