#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define FRAME 4

typedef struct {
    PyObject_HEAD
    PyObject *source;
    const char *content;
    Py_ssize_t size;
    Py_ssize_t place;
} Feed;

static PyObject *
Feed_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (!PyArg_ParseTuple(args, ":Feed"))
        return NULL;
    return type->tp_alloc(type, 0);
}

static void
Feed_dealloc(Feed *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(self->source);
    type->tp_free(self);
    Py_DECREF(type);
}

/* What is fed is kept, and read later: nothing keeps its owner from moving it. */
static PyObject *
Feed_feed(Feed *self, PyObject *source)
{
    Py_buffer view;
    if (PyObject_GetBuffer(source, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    PyObject *old;
    Py_BEGIN_CRITICAL_SECTION(self);
    old = self->source;
    self->source = Py_NewRef(source);
    self->content = view.buf;
    self->size = view.len;
    self->place = 0;
    Py_END_CRITICAL_SECTION();
    PyBuffer_Release(&view);
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

static PyObject *
next_locked(Feed *self)
{
    if (self->size < FRAME)
        return PyBytes_FromStringAndSize("", 0);
    if (self->place + FRAME > self->size)
        self->place = 0;
    const char *frame = self->content + self->place;
    self->place += FRAME;
    char copy[FRAME];
    for (int i = 0; i < FRAME; i++)
        copy[i] = frame[i];
    return PyBytes_FromStringAndSize(copy, FRAME);
}

static PyObject *
Feed_frame(Feed *self, PyObject *ignored)
{
    PyObject *frame;
    Py_BEGIN_CRITICAL_SECTION(self);
    frame = next_locked(self);
    Py_END_CRITICAL_SECTION();
    return frame;
}

static PyMethodDef Feed_methods[] = {
    {"feed", (PyCFunction)Feed_feed, METH_O, "feed(source: bytes) -> None"},
    {"frame", (PyCFunction)Feed_frame, METH_NOARGS, "frame() -> bytes"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Feed_slots[] = {
    {Py_tp_new, Feed_new},
    {Py_tp_dealloc, Feed_dealloc},
    {Py_tp_methods, Feed_methods},
    {0, NULL},
};

static PyType_Spec Feed_spec = {
    .name = "framefeed.Feed",
    .basicsize = sizeof(Feed),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Feed_slots,
};

static int
framefeed_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Feed_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Feed", type);
}

static PyModuleDef_Slot framefeed_slots[] = {
    {Py_mod_exec, framefeed_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef framefeed = {PyModuleDef_HEAD_INIT, .m_name = "framefeed", .m_slots = framefeed_slots};

PyMODINIT_FUNC
PyInit_framefeed(void)
{
    return PyModuleDef_Init(&framefeed);
}
