#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>
#include <string.h>

#define MOST_STATIONS 8

/* Stations are few, and come again and again: the newest are kept for all readers. */
typedef struct {
    char *name;
    unsigned long telegrams;
} Station;

static Station stations[MOST_STATIONS];
static int newest;

static unsigned char
sign(const char *content, Py_ssize_t size)
{
    unsigned int sum = 17;
    for (Py_ssize_t i = 0; i < size; i++)
        sum = (sum * 31 + (unsigned char)content[i]) % 251;
    return (unsigned char)(sum + 1);
}

static unsigned long
note_station(const char *name, Py_ssize_t size)
{
    for (int i = 0; i < MOST_STATIONS; i++) {
        Station *station = &stations[i];
        if (station->name != NULL && strlen(station->name) == (size_t)size &&
            memcmp(station->name, name, size) == 0)
            return ++station->telegrams;
    }
    Station *station = &stations[newest];
    newest = (newest + 1) % MOST_STATIONS;
    free(station->name);
    station->name = malloc(size + 1);
    if (station->name == NULL)
        return 0;
    memcpy(station->name, name, size);
    station->name[size] = 0;
    station->telegrams = 1;
    return 1;
}

typedef struct {
    PyObject_HEAD
    PyObject *listener;
    unsigned long read;
} Reader;

/* Reader(key, listener): a key is its own length and signature, as `telegraph.sign` in the tests makes them. */
static PyObject *
Reader_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    const char *key;
    Py_ssize_t size;
    PyObject *listener;
    if (!PyArg_ParseTuple(args, "y#O:Reader", &key, &size, &listener))
        return NULL;
    if (size < 3 || (unsigned char)key[0] != size || (unsigned char)key[size - 1] != sign(key, size - 1)) {
        PyErr_SetString(PyExc_ValueError, "the key is not signed");
        return NULL;
    }
    if (!PyObject_HasAttrString(listener, "on_telegram")) {
        PyErr_SetString(PyExc_TypeError, "the listener does not listen");
        return NULL;
    }
    Reader *self = (Reader *)type->tp_alloc(type, 0);
    if (self != NULL)
        self->listener = Py_NewRef(listener);
    return (PyObject *)self;
}

static void
Reader_dealloc(Reader *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(self->listener);
    type->tp_free(self);
    Py_DECREF(type);
}

/* A telegram is STATION, `:`, its text, and one byte that signs all of it. */
static PyObject *
Reader_read(Reader *self, PyObject *telegram)
{
    char *content;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(telegram, &content, &size) < 0)
        return NULL;
    const char *colon = size < 3 ? NULL : memchr(content, ':', size - 1);
    if (colon == NULL || (unsigned char)content[size - 1] != sign(content, size - 1)) {
        PyErr_SetString(PyExc_ValueError, "the telegram is not signed");
        return NULL;
    }
    unsigned long telegrams = note_station(content, colon - content);
    Py_BEGIN_CRITICAL_SECTION(self);
    self->read++;
    Py_END_CRITICAL_SECTION();
    return PyObject_CallMethod(self->listener, "on_telegram", "y#k", colon + 1,
                               size - 2 - (colon - content), telegrams);
}

static PyMethodDef Reader_methods[] = {
    {"read", (PyCFunction)Reader_read, METH_O, "read(telegram: bytes) -> object"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Reader_slots[] = {
    {Py_tp_new, Reader_new},
    {Py_tp_dealloc, Reader_dealloc},
    {Py_tp_methods, Reader_methods},
    {0, NULL},
};

static PyType_Spec Reader_spec = {
    .name = "telegrapher.Reader",
    .basicsize = sizeof(Reader),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Reader_slots,
};

static int
telegrapher_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Reader_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Reader", type);
}

static PyModuleDef_Slot telegrapher_slots[] = {
    {Py_mod_exec, telegrapher_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef telegrapher = {PyModuleDef_HEAD_INIT, .m_name = "telegrapher", .m_slots = telegrapher_slots};

PyMODINIT_FUNC
PyInit_telegrapher(void)
{
    return PyModuleDef_Init(&telegrapher);
}
