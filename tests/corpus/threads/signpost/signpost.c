#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* A signpost without a target is an error to follow. The test for that is outside of the lock: once there is a target
 * there always is one, and the one that is followed is read again under the lock. */

typedef struct {
    PyObject_HEAD
    PyObject *target;
    long turns;
} SignpostObject;

static int
signpost_is_blank(SignpostObject *self)
{
    if (!self->target) {
        PyErr_SetString(PyExc_ValueError, "the signpost points nowhere");
        return 1;
    }
    return 0;
}

static PyObject *
signpost_read_target(SignpostObject *self)
{
    PyObject *target;
    Py_BEGIN_CRITICAL_SECTION(self);
    target = Py_NewRef(self->target);
    Py_END_CRITICAL_SECTION();
    return target;
}

static PyObject *
signpost_follow(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    SignpostObject *self = (SignpostObject *)op;
    if (signpost_is_blank(self)) {
        return NULL;
    }
    return signpost_read_target(self);
}

static PyObject *
signpost_turn(PyObject *op, PyObject *target)
{
    SignpostObject *self = (SignpostObject *)op;
    PyObject *earlier;
    long turns;
    Py_BEGIN_CRITICAL_SECTION(self);
    earlier = self->target;
    self->target = Py_NewRef(target);
    turns = ++self->turns;
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(earlier);
    return PyLong_FromLong(turns);
}

static PyObject *
signpost_repr(PyObject *op)
{
    SignpostObject *self = (SignpostObject *)op;
    if (!self->target) {
        return PyUnicode_FromString("Signpost()");
    }
    PyObject *target = signpost_read_target(self);
    PyObject *text = PyUnicode_FromFormat("Signpost(%R)", target);
    Py_DECREF(target);
    return text;
}

static int
signpost_bool(PyObject *op)
{
    return ((SignpostObject *)op)->target != NULL;
}

static int
signpost_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"target", NULL};
    PyObject *target = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O", names, &target)) {
        return -1;
    }
    if (target != NULL) {
        PyObject *turns = signpost_turn(op, target);
        if (turns == NULL) {
            return -1;
        }
        Py_DECREF(turns);
    }
    return 0;
}

static int
signpost_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(((SignpostObject *)op)->target);
    return 0;
}

static int
signpost_clear(PyObject *op)
{
    Py_CLEAR(((SignpostObject *)op)->target);
    return 0;
}

static void
signpost_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    signpost_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef signpost_methods[] = {
    {"follow", signpost_follow, METH_NOARGS, PyDoc_STR("Return what it points to.")},
    {"turn", signpost_turn, METH_O, PyDoc_STR("Point to something else; return how often that was done.")},
    {NULL},
};

static PyType_Slot signpost_slots[] = {
    {Py_tp_doc, PyDoc_STR("Signpost(target): points to something.")},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, signpost_init},
    {Py_tp_dealloc, signpost_dealloc},
    {Py_tp_traverse, signpost_traverse},
    {Py_tp_clear, signpost_clear},
    {Py_tp_repr, signpost_repr},
    {Py_nb_bool, signpost_bool},
    {Py_tp_methods, signpost_methods},
    {0, NULL},
};

static PyType_Spec signpost_spec = {
    .name = "signpost.Signpost",
    .basicsize = sizeof(SignpostObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = signpost_slots,
};

static int
signpost_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &signpost_spec, NULL);
    if (type == NULL) {
        return -1;
    }
    int failed = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return failed;
}

static PyModuleDef_Slot signpost_module_slots[] = {
    {Py_mod_exec, signpost_exec},
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef signpost_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "signpost",
    .m_doc = PyDoc_STR("Names that point to something."),
    .m_slots = signpost_module_slots,
};

PyMODINIT_FUNC
PyInit_signpost(void)
{
    return PyModuleDef_Init(&signpost_module);
}
