#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>

typedef struct {
    PyObject_HEAD
    Py_ssize_t packed;
} Crate;

static PyObject *
Crate_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (!PyArg_ParseTuple(args, ":Crate"))
        return NULL;
    return type->tp_alloc(type, 0);
}

static void
Crate_dealloc(Crate *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
pack_bytes(const char *data, Py_ssize_t size)
{
    PyObject *frame = PyBytes_FromStringAndSize(NULL, size + 4);
    if (frame == NULL)
        return NULL;
    char *content = PyBytes_AS_STRING(frame);
    for (int i = 0; i < 4; i++)
        content[i] = (char)(size >> (8 * i));
    memcpy(content + 4, data, size);
    return frame;
}

static PyObject *
Crate_pack(Crate *self, PyObject *part)
{
    PyObject *frame = NULL;
    Py_BEGIN_CRITICAL_SECTION(self);
    if (PyBytes_Check(part))
        frame = pack_bytes(PyBytes_AS_STRING(part), PyBytes_GET_SIZE(part));
    else if (PyByteArray_Check(part))
        frame = pack_bytes(PyByteArray_AS_STRING(part), PyByteArray_GET_SIZE(part));
    else
        PyErr_Format(PyExc_TypeError, "a part must be bytes, not %T", part);
    self->packed += frame != NULL;
    Py_END_CRITICAL_SECTION();
    return frame;
}

static PyObject *
Crate_count(Crate *self, PyObject *ignored)
{
    Py_ssize_t packed;
    Py_BEGIN_CRITICAL_SECTION(self);
    packed = self->packed;
    Py_END_CRITICAL_SECTION();
    return PyLong_FromSsize_t(packed);
}

static PyMethodDef Crate_methods[] = {
    {"pack", (PyCFunction)Crate_pack, METH_O, "pack(part: bytes) -> bytes"},
    {"count", (PyCFunction)Crate_count, METH_NOARGS, "count() -> int"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Crate_slots[] = {
    {Py_tp_new, Crate_new},
    {Py_tp_dealloc, Crate_dealloc},
    {Py_tp_methods, Crate_methods},
    {0, NULL},
};

static PyType_Spec Crate_spec = {
    .name = "crateload.Crate",
    .basicsize = sizeof(Crate),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Crate_slots,
};

static int
crateload_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Crate_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Crate", type);
}

static PyModuleDef_Slot crateload_slots[] = {
    {Py_mod_exec, crateload_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef crateload = {PyModuleDef_HEAD_INIT, .m_name = "crateload", .m_slots = crateload_slots};

PyMODINIT_FUNC
PyInit_crateload(void)
{
    return PyModuleDef_Init(&crateload);
}
