#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* The pegs of a board, in no order. There is no lock here: pegboard/__init__.py, which alone has such objects, takes
 * one around each call. */

typedef struct {
    PyObject_HEAD
    long *pegs;
    Py_ssize_t count;
    Py_ssize_t room;
} HolesObject;

/* Return where a peg is; -1 where it is not there, or is no number and an error is set. */
static Py_ssize_t
holes_find(HolesObject *self, PyObject *argument, long *peg)
{
    *peg = PyLong_AsLong(argument);
    if (*peg == -1 && PyErr_Occurred()) {
        return -1;
    }
    for (Py_ssize_t place = 0; place < self->count; place++) {
        if (self->pegs[place] == *peg) {
            return place;
        }
    }
    return -1;
}

static PyObject *
holes_put(PyObject *op, PyObject *argument)
{
    HolesObject *self = (HolesObject *)op;
    long peg;
    Py_ssize_t place = holes_find(self, argument, &peg);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (place < 0 && self->count == self->room) {
        Py_ssize_t room = 2 * self->room + 2;
        long *pegs = realloc(self->pegs, room * sizeof(long));
        if (pegs == NULL) {
            return PyErr_NoMemory();
        }
        self->pegs = pegs;
        self->room = room;
    }
    if (place < 0) {
        self->pegs[self->count++] = peg;
    }
    return PyLong_FromSsize_t(self->count);
}

static PyObject *
holes_pull(PyObject *op, PyObject *argument)
{
    HolesObject *self = (HolesObject *)op;
    long peg;
    Py_ssize_t place = holes_find(self, argument, &peg);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (place < 0) {
        Py_RETURN_FALSE;
    }
    self->pegs[place] = self->pegs[--self->count];
    Py_RETURN_TRUE;
}

static PyObject *
holes_count(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromSsize_t(((HolesObject *)op)->count);
}

static void
holes_dealloc(PyObject *op)
{
    free(((HolesObject *)op)->pegs);
    PyObject_Free(op);
}

static PyMethodDef holes_methods[] = {
    {"put", holes_put, METH_O, NULL},
    {"pull", holes_pull, METH_O, NULL},
    {"count", holes_count, METH_NOARGS, NULL},
    {NULL},
};

static PyTypeObject holes_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "Holes",
    .tp_basicsize = sizeof(HolesObject),
    .tp_dealloc = holes_dealloc,
    .tp_methods = holes_methods,
};

static PyObject *
holes_drill(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    HolesObject *self = PyObject_New(HolesObject, &holes_type);
    if (self != NULL) {
        self->pegs = NULL;
        self->count = self->room = 0;
    }
    return (PyObject *)self;
}

static PyMethodDef holes_functions[] = {
    {"drill", holes_drill, METH_NOARGS, NULL},
    {NULL},
};

static int
holes_exec(PyObject *Py_UNUSED(module))
{
    return PyType_Ready(&holes_type);
}

static PyModuleDef_Slot holes_module_slots[] = {
    {Py_mod_exec, holes_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef holes_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pegboard._holes",
    .m_methods = holes_functions,
    .m_slots = holes_module_slots,
};

PyMODINIT_FUNC
PyInit__holes(void)
{
    return PyModuleDef_Init(&holes_module);
}
