#include <Python.h>

#define MAX_SPARE 80

typedef struct {
    PyObject_HEAD
    long long start;
    long long stop;
} Span;

static PyTypeObject Span_Type;

static Span *spare[MAX_SPARE];
static int spare_count = 0;
static PyMutex spare_mutex;

static PyObject *
span_make(long long start, long long stop)
{
    Span *self = NULL;

    PyMutex_Lock(&spare_mutex);
    if (spare_count > 0)
        self = spare[--spare_count];
    PyMutex_Unlock(&spare_mutex);
    if (self != NULL)
        PyObject_Init((PyObject *)self, &Span_Type);
    else if ((self = PyObject_New(Span, &Span_Type)) == NULL)
        return NULL;
    self->start = start;
    self->stop = stop;
    return (PyObject *)self;
}

static PyObject *
span_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"start", "stop", NULL};
    long long start, stop;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "LL:Span", names, &start, &stop))
        return NULL;
    if (start > stop) {
        PyErr_SetString(PyExc_ValueError, "start must not be after stop");
        return NULL;
    }
    return span_make(start, stop);
}

static void
span_dealloc(Span *self)
{
    PyMutex_Lock(&spare_mutex);
    int kept = spare_count < MAX_SPARE;
    if (kept)
        spare[spare_count++] = self;
    PyMutex_Unlock(&spare_mutex);
    if (!kept)
        PyObject_Free(self);
}

static PyObject *
span_repr(Span *self)
{
    return PyUnicode_FromFormat("Span(%lld, %lld)", self->start, self->stop);
}

static PyObject *
span_and(PyObject *left, PyObject *right)
{
    if (!Py_IS_TYPE(left, &Span_Type) || !Py_IS_TYPE(right, &Span_Type))
        Py_RETURN_NOTIMPLEMENTED;
    Span *a = (Span *)left, *b = (Span *)right;
    long long start = Py_MAX(a->start, b->start);
    long long stop = Py_MIN(a->stop, b->stop);
    return span_make(start, Py_MAX(start, stop));
}

static Py_ssize_t
span_length(Span *self)
{
    return (Py_ssize_t)(self->stop - self->start);
}

static int
span_contains(Span *self, PyObject *item)
{
    long long value = PyLong_AsLongLong(item);
    if (value == -1 && PyErr_Occurred())
        return -1;
    return self->start <= value && value < self->stop;
}

static PyObject *
span_compare(PyObject *left, PyObject *right, int op)
{
    if (!Py_IS_TYPE(left, &Span_Type) || !Py_IS_TYPE(right, &Span_Type) || (op != Py_EQ && op != Py_NE))
        Py_RETURN_NOTIMPLEMENTED;
    Span *a = (Span *)left, *b = (Span *)right;
    int same = a->start == b->start && a->stop == b->stop;
    return PyBool_FromLong(op == Py_EQ ? same : !same);
}

static PyObject *
span_split(Span *self, PyObject *arg)
{
    long long at = PyLong_AsLongLong(arg);
    if (at == -1 && PyErr_Occurred())
        return NULL;
    if (at < self->start || at > self->stop) {
        PyErr_SetString(PyExc_ValueError, "the point is outside of the span");
        return NULL;
    }
    return Py_BuildValue("NN", span_make(self->start, at), span_make(at, self->stop));
}

static PyNumberMethods span_number = {.nb_and = span_and};

static PySequenceMethods span_sequence = {
    .sq_length = (lenfunc)span_length, .sq_contains = (objobjproc)span_contains,
};

static PyMethodDef span_methods[] = {
    {"split", (PyCFunction)span_split, METH_O, "split(point, /)\n--\n\nTwo spans that meet at a point."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject Span_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "spanlet.Span",
    .tp_basicsize = sizeof(Span),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "Span(start, stop)\n--\n\nThe integers from start up to, not including, stop.",
    .tp_new = span_new,
    .tp_dealloc = (destructor)span_dealloc,
    .tp_repr = (reprfunc)span_repr,
    .tp_richcompare = span_compare,
    .tp_hash = PyObject_HashNotImplemented,
    .tp_as_number = &span_number,
    .tp_as_sequence = &span_sequence,
    .tp_methods = span_methods,
};

static int
exec(PyObject *module)
{
    return PyModule_AddType(module, &Span_Type);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, exec},
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "spanlet", .m_slots = slots};

PyMODINIT_FUNC
PyInit_spanlet(void)
{
    return PyModuleDef_Init(&def);
}
