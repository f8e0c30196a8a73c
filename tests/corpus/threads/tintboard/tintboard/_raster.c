#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* The fields of a board. Only tintboard/__init__.py has such objects: the type is in no module, and says of none that it
 * is its home. Nothing here, and nothing there, keeps resize() from freeing the fields that fill() and total() go
 * through. */

typedef struct {
    PyObject_HEAD
    unsigned char *tints;
    Py_ssize_t size;
} RasterObject;

static PyObject *
raster_fill(PyObject *op, PyObject *argument)
{
    RasterObject *self = (RasterObject *)op;
    long tint = PyLong_AsLong(argument);
    if (tint == -1 && PyErr_Occurred()) {
        return NULL;
    }
    for (Py_ssize_t field = 0; field < self->size; field++) {
        self->tints[field] = (unsigned char)tint;
    }
    Py_RETURN_NONE;
}

static PyObject *
raster_resize(PyObject *op, PyObject *argument)
{
    RasterObject *self = (RasterObject *)op;
    Py_ssize_t size = PyLong_AsSsize_t(argument);
    if (size == -1 && PyErr_Occurred()) {
        return NULL;
    }
    unsigned char *tints = calloc(size, 1);
    if (tints == NULL) {
        return PyErr_NoMemory();
    }
    memcpy(tints, self->tints, size < self->size ? size : self->size);
    free(self->tints);
    self->tints = tints;
    self->size = size;
    Py_RETURN_NONE;
}

static PyObject *
raster_total(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    RasterObject *self = (RasterObject *)op;
    long total = 0;
    for (Py_ssize_t field = 0; field < self->size; field++) {
        total += self->tints[field];
    }
    return PyLong_FromLong(total);
}

static PyObject *
raster_tints(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    RasterObject *self = (RasterObject *)op;
    return PyBytes_FromStringAndSize((const char *)self->tints, self->size);
}

static void
raster_dealloc(PyObject *op)
{
    free(((RasterObject *)op)->tints);
    PyObject_Free(op);
}

static PyMethodDef raster_methods[] = {
    {"fill", raster_fill, METH_O, NULL},
    {"resize", raster_resize, METH_O, NULL},
    {"total", raster_total, METH_NOARGS, NULL},
    {"tints", raster_tints, METH_NOARGS, NULL},
    {NULL},
};

static PyTypeObject raster_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "Raster",
    .tp_basicsize = sizeof(RasterObject),
    .tp_dealloc = raster_dealloc,
    .tp_methods = raster_methods,
};

static PyObject *
raster_make(PyObject *Py_UNUSED(module), PyObject *content)
{
    char *tints;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(content, &tints, &size) < 0) {
        return NULL;
    }
    RasterObject *self = PyObject_New(RasterObject, &raster_type);
    if (self == NULL) {
        return NULL;
    }
    self->size = size;
    self->tints = malloc(size + 1);
    if (self->tints == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    memcpy(self->tints, tints, size);
    return (PyObject *)self;
}

static PyMethodDef raster_functions[] = {
    {"make", raster_make, METH_O, NULL},
    {NULL},
};

static int
raster_exec(PyObject *Py_UNUSED(module))
{
    return PyType_Ready(&raster_type);
}

static PyModuleDef_Slot raster_module_slots[] = {
    {Py_mod_exec, raster_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef raster_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "tintboard._raster",
    .m_methods = raster_functions,
    .m_slots = raster_module_slots,
};

PyMODINIT_FUNC
PyInit__raster(void)
{
    return PyModuleDef_Init(&raster_module);
}
