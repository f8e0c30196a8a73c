#include <Python.h>
#include <stdlib.h>

typedef struct {
    PyObject_HEAD
    PyMutex mutex;
    long *items;
    Py_ssize_t capacity, head, count;
    int growing;
} Queue;

static PyObject *
Queue_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"capacity", "mode", NULL};
    Py_ssize_t capacity = 64;
    const char *mode = "fixed";

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|ns:Queue", names, &capacity, &mode))
        return NULL;
    if (capacity < 1 || (capacity & (capacity - 1)) != 0) {
        PyErr_SetString(PyExc_ValueError, "capacity must be a power of two");
        return NULL;
    }
    if (strcmp(mode, "fixed") != 0 && strcmp(mode, "growing") != 0) {
        PyErr_SetString(PyExc_ValueError, "mode must be one of 'fixed', 'growing'");
        return NULL;
    }
    Queue *self = (Queue *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->growing = mode[0] == 'g';
    self->capacity = capacity;
    self->items = calloc(capacity, sizeof(long));
    if (self->items == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void
Queue_dealloc(Queue *self)
{
    PyTypeObject *type = Py_TYPE(self);
    free(self->items);
    type->tp_free(self);
    Py_DECREF(type);
}

static int
store(Queue *self, long value)
{
    if (self->count == self->capacity)
        return 0;
    self->items[(self->head + self->count) & (self->capacity - 1)] = value;
    self->count++;
    return 1;
}

static int
grow(Queue *self)
{
    long *items = calloc(2 * self->capacity, sizeof(long));
    if (items == NULL)
        return -1;
    for (Py_ssize_t i = 0; i < self->count; i++)
        items[i] = self->items[(self->head + i) & (self->capacity - 1)];
    free(self->items);
    self->items = items;
    self->head = 0;
    self->capacity *= 2;
    return 0;
}

static PyObject *
Queue_put(Queue *self, PyObject *arg)
{
    long value = PyLong_AsLong(arg);
    if (value == -1 && PyErr_Occurred())
        return NULL;
    if (self->growing && self->count == self->capacity && grow(self) < 0)
        return PyErr_NoMemory();
    PyMutex_Lock(&self->mutex);
    int stored = store(self, value);
    PyMutex_Unlock(&self->mutex);
    if (!stored) {
        PyErr_SetString(PyExc_OverflowError, "the queue is full");
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
Queue_get(Queue *self, PyObject *unused)
{
    long value = 0;
    int any;

    PyMutex_Lock(&self->mutex);
    any = self->count > 0;
    if (any) {
        value = self->items[self->head];
        self->head = (self->head + 1) & (self->capacity - 1);
        self->count--;
    }
    PyMutex_Unlock(&self->mutex);
    if (!any) {
        PyErr_SetString(PyExc_IndexError, "get from an empty queue");
        return NULL;
    }
    return PyLong_FromLong(value);
}

static Py_ssize_t
Queue_length(Queue *self)
{
    PyMutex_Lock(&self->mutex);
    Py_ssize_t count = self->count;
    PyMutex_Unlock(&self->mutex);
    return count;
}

static PyMethodDef Queue_methods[] = {
    {"put", (PyCFunction)Queue_put, METH_O, "put($self, value, /)\n--\n\nAppend an int."},
    {"get", (PyCFunction)Queue_get, METH_NOARGS, "get($self, /)\n--\n\nRemove and return the oldest int."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Queue_slots[] = {
    {Py_tp_doc, "Queue(capacity=64, mode='fixed')\n--\n\nA queue of ints. Mode 'growing' doubles the capacity when it is full."},
    {Py_tp_new, Queue_new},
    {Py_tp_dealloc, Queue_dealloc},
    {Py_tp_methods, Queue_methods},
    {Py_sq_length, Queue_length},
    {0, NULL},
};

static PyType_Spec Queue_spec = {
    .name = "roundq.Queue", .basicsize = sizeof(Queue), .flags = Py_TPFLAGS_DEFAULT, .slots = Queue_slots,
};

static int
exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Queue_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Queue", type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "roundq", .m_slots = slots};

PyMODINIT_FUNC
PyInit_roundq(void)
{
    return PyModuleDef_Init(&def);
}
