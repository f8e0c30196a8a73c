#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>

typedef struct {
    PyObject *name;
    PyObject *thing;
} Place;

typedef struct {
    PyObject_HEAD
    Place *places;
    Py_ssize_t used;
    Py_ssize_t room;
} Box;

static PyObject *
Box_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (!PyArg_ParseTuple(args, ":Box"))
        return NULL;
    Box *self = (Box *)type->tp_alloc(type, 0);
    return (PyObject *)self;
}

static void
Box_dealloc(Box *self)
{
    PyTypeObject *type = Py_TYPE(self);
    for (Py_ssize_t i = 0; i < self->used; i++) {
        Py_DECREF(self->places[i].name);
        Py_DECREF(self->places[i].thing);
    }
    free(self->places);
    type->tp_free(self);
    Py_DECREF(type);
}

/* The place of a name, or -1. Comparing may run code of the name. */
static Py_ssize_t
find_place(Box *self, PyObject *name)
{
    Place *places = self->places;
    for (Py_ssize_t i = 0; i < self->used; i++) {
        int same = PyObject_RichCompareBool(places[i].name, name, Py_EQ);
        if (same < 0)
            return -2;
        if (same)
            return i;
    }
    return -1;
}

static int
put_locked(Box *self, PyObject *name, PyObject *thing)
{
    Py_ssize_t place = find_place(self, name);
    if (place < -1)
        return -1;
    if (place >= 0 && place < self->used) {
        PyObject *old = self->places[place].thing;
        self->places[place].thing = Py_NewRef(thing);
        Py_DECREF(old);
        return 0;
    }
    Place *places = malloc((self->used + 1) * sizeof(Place));
    if (places == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < self->used; i++)
        places[i] = self->places[i];
    places[self->used].name = Py_NewRef(name);
    places[self->used].thing = Py_NewRef(thing);
    free(self->places);
    self->places = places;
    self->used++;
    return 0;
}

static PyObject *
Box_put(Box *self, PyObject *args)
{
    PyObject *name, *thing;
    if (!PyArg_ParseTuple(args, "OO:put", &name, &thing))
        return NULL;
    int failed;
    Py_BEGIN_CRITICAL_SECTION(self);
    failed = put_locked(self, name, thing);
    Py_END_CRITICAL_SECTION();
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
Box_get(Box *self, PyObject *name)
{
    PyObject *thing = NULL;
    Py_BEGIN_CRITICAL_SECTION(self);
    Py_ssize_t place = find_place(self, name);
    if (place >= 0 && place < self->used)
        thing = Py_NewRef(self->places[place].thing);
    else if (place >= -1)
        PyErr_SetObject(PyExc_KeyError, name);
    Py_END_CRITICAL_SECTION();
    return thing;
}

static PyObject *
Box_clear(Box *self, PyObject *ignored)
{
    Place *places;
    Py_ssize_t used;
    Py_BEGIN_CRITICAL_SECTION(self);
    places = self->places;
    used = self->used;
    self->places = NULL;
    self->used = 0;
    Py_END_CRITICAL_SECTION();
    for (Py_ssize_t i = 0; i < used; i++) {
        Py_DECREF(places[i].name);
        Py_DECREF(places[i].thing);
    }
    free(places);
    Py_RETURN_NONE;
}

static Py_ssize_t
Box_length(Box *self)
{
    Py_ssize_t used;
    Py_BEGIN_CRITICAL_SECTION(self);
    used = self->used;
    Py_END_CRITICAL_SECTION();
    return used;
}

static PyMethodDef Box_methods[] = {
    {"put", (PyCFunction)Box_put, METH_VARARGS, "put(name, thing) -> None"},
    {"get", (PyCFunction)Box_get, METH_O, "get(name) -> object"},
    {"clear", (PyCFunction)Box_clear, METH_NOARGS, "clear() -> None"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Box_slots[] = {
    {Py_tp_new, Box_new},
    {Py_tp_dealloc, Box_dealloc},
    {Py_tp_methods, Box_methods},
    {Py_sq_length, Box_length},
    {0, NULL},
};

static PyType_Spec Box_spec = {
    .name = "trinketbox.Box",
    .basicsize = sizeof(Box),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Box_slots,
};

static int
trinketbox_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Box_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Box", type);
}

static PyModuleDef_Slot trinketbox_slots[] = {
    {Py_mod_exec, trinketbox_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef trinketbox = {PyModuleDef_HEAD_INIT, .m_name = "trinketbox", .m_slots = trinketbox_slots};

PyMODINIT_FUNC
PyInit_trinketbox(void)
{
    return PyModuleDef_Init(&trinketbox);
}
