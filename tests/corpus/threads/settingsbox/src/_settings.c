#include <Python.h>
#include <structmember.h>

typedef struct {
    PyObject_HEAD
    PyObject *values;
    int frozen;
} Settings;

static PyObject *FrozenSettings;

static int
settings_init(Settings *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"initial", NULL};
    PyObject *initial = NULL;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O!:Settings", names, &PyDict_Type, &initial))
        return -1;
    return initial == NULL ? 0 : PyDict_Update(self->values, initial);
}

static PyObject *
settings_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    Settings *self = (Settings *)type->tp_alloc(type, 0);
    if (self != NULL && (self->values = PyDict_New()) == NULL)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static int
settings_traverse(Settings *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->values);
    return 0;
}

static int
settings_clear(Settings *self)
{
    Py_CLEAR(self->values);
    return 0;
}

static void
settings_dealloc(Settings *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    settings_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static int
check_open(Settings *self)
{
    if (self->frozen)
        PyErr_SetString(FrozenSettings, "settings cannot change after freeze()");
    return self->frozen ? -1 : 0;
}

static PyObject *
settings_get(Settings *self, PyObject *args)
{
    PyObject *name, *fallback = Py_None;

    if (!PyArg_ParseTuple(args, "U|O:get", &name, &fallback))
        return NULL;
    PyObject *value = PyDict_GetItemWithError(self->values, name);
    if (value == NULL) {
        if (PyErr_Occurred())
            return NULL;
        value = fallback;
    }
    Py_INCREF(value);
    return value;
}

static PyObject *
settings_set(Settings *self, PyObject *args)
{
    PyObject *name, *value;

    if (!PyArg_ParseTuple(args, "UO:set", &name, &value) || check_open(self) < 0)
        return NULL;
    if (PyDict_SetItem(self->values, name, value) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
settings_remove(Settings *self, PyObject *name)
{
    if (check_open(self) < 0 || PyDict_DelItem(self->values, name) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
settings_names(Settings *self, PyObject *unused)
{
    return PyDict_Keys(self->values);
}

static PyObject *
settings_freeze(Settings *self, PyObject *unused)
{
    self->frozen = 1;
    Py_RETURN_NONE;
}

static Py_ssize_t
settings_length(Settings *self)
{
    return PyDict_Size(self->values);
}

static PyMethodDef settings_methods[] = {
    {"get", (PyCFunction)settings_get, METH_VARARGS, "get(name, default=None, /)"},
    {"set", (PyCFunction)settings_set, METH_VARARGS, "set(name, value, /)"},
    {"remove", (PyCFunction)settings_remove, METH_O, "remove(name, /)"},
    {"names", (PyCFunction)settings_names, METH_NOARGS, "names()"},
    {"freeze", (PyCFunction)settings_freeze, METH_NOARGS, "freeze()"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot settings_slots[] = {
    {Py_tp_doc, "Settings(initial={})\n\nNamed values; freeze() ends all changes."},
    {Py_tp_new, settings_new},
    {Py_tp_init, settings_init},
    {Py_tp_dealloc, settings_dealloc},
    {Py_tp_traverse, settings_traverse},
    {Py_tp_clear, settings_clear},
    {Py_tp_methods, settings_methods},
    {Py_mp_length, settings_length},
    {0, NULL},
};

static PyType_Spec settings_spec = {
    .name = "settingsbox._settings.Settings",
    .basicsize = sizeof(Settings),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = settings_slots,
};

static int
settings_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &settings_spec, NULL);
    if (type == NULL || PyModule_Add(module, "Settings", type) < 0)
        return -1;
    FrozenSettings = PyErr_NewException("settingsbox.FrozenSettings", PyExc_RuntimeError, NULL);
    return PyModule_AddObjectRef(module, "FrozenSettings", FrozenSettings);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, settings_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_settings", .m_slots = module_slots};

PyMODINIT_FUNC
PyInit__settings(void)
{
    return PyModuleDef_Init(&module);
}
