#include <Python.h>
#include <math.h>
#include <structmember.h>

typedef struct {
    PyObject_HEAD
    double w, x, y, z;
    double norm;
} Quaternion;

static PyTypeObject *Quaternion_type;

static PyObject *
make(PyTypeObject *type, double w, double x, double y, double z)
{
    Quaternion *self = (Quaternion *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->w = w;
        self->x = x;
        self->y = y;
        self->z = z;
        self->norm = sqrt(w * w + x * x + y * y + z * z);
    }
    return (PyObject *)self;
}

static PyObject *
quaternion_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"w", "x", "y", "z", NULL};
    double w = 1, x = 0, y = 0, z = 0;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|dddd:Quaternion", names, &w, &x, &y, &z))
        return NULL;
    return make(type, w, x, y, z);
}

static void
quaternion_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
quaternion_multiply(PyObject *left, PyObject *right)
{
    if (!Py_IS_TYPE(left, Quaternion_type) || !Py_IS_TYPE(right, Quaternion_type))
        Py_RETURN_NOTIMPLEMENTED;
    Quaternion *a = (Quaternion *)left, *b = (Quaternion *)right;
    return make(Quaternion_type, a->w * b->w - a->x * b->x - a->y * b->y - a->z * b->z,
                a->w * b->x + a->x * b->w + a->y * b->z - a->z * b->y,
                a->w * b->y - a->x * b->z + a->y * b->w + a->z * b->x,
                a->w * b->z + a->x * b->y - a->y * b->x + a->z * b->w);
}

static PyObject *
quaternion_absolute(Quaternion *self)
{
    return PyFloat_FromDouble(self->norm);
}

static PyObject *
quaternion_conjugate(Quaternion *self, PyObject *unused)
{
    return make(Py_TYPE(self), self->w, -self->x, -self->y, -self->z);
}

static PyObject *
quaternion_normalized(Quaternion *self, PyObject *unused)
{
    if (self->norm == 0) {
        PyErr_SetString(PyExc_ZeroDivisionError, "zero cannot be normalized");
        return NULL;
    }
    double n = self->norm;
    return make(Py_TYPE(self), self->w / n, self->x / n, self->y / n, self->z / n);
}

static Py_hash_t
quaternion_hash(Quaternion *self)
{
    PyObject *tuple = Py_BuildValue("dddd", self->w, self->x, self->y, self->z);
    Py_hash_t hash = tuple == NULL ? -1 : PyObject_Hash(tuple);
    Py_XDECREF(tuple);
    return hash;
}

static PyObject *
quaternion_compare(PyObject *left, PyObject *right, int op)
{
    if (!Py_IS_TYPE(left, Quaternion_type) || !Py_IS_TYPE(right, Quaternion_type) || (op != Py_EQ && op != Py_NE))
        Py_RETURN_NOTIMPLEMENTED;
    Quaternion *a = (Quaternion *)left, *b = (Quaternion *)right;
    int same = a->w == b->w && a->x == b->x && a->y == b->y && a->z == b->z;
    return PyBool_FromLong(op == Py_EQ ? same : !same);
}

static PyMemberDef members[] = {
    {"w", Py_T_DOUBLE, offsetof(Quaternion, w), Py_READONLY, NULL},
    {"x", Py_T_DOUBLE, offsetof(Quaternion, x), Py_READONLY, NULL},
    {"y", Py_T_DOUBLE, offsetof(Quaternion, y), Py_READONLY, NULL},
    {"z", Py_T_DOUBLE, offsetof(Quaternion, z), Py_READONLY, NULL},
    {NULL},
};

static PyMethodDef methods[] = {
    {"conjugate", (PyCFunction)quaternion_conjugate, METH_NOARGS, "conjugate($self, /)\n--\n\n"},
    {"normalized", (PyCFunction)quaternion_normalized, METH_NOARGS, "normalized($self, /)\n--\n\n"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot type_slots[] = {
    {Py_tp_doc, "Quaternion(w=1.0, x=0.0, y=0.0, z=0.0)\n--\n\n"},
    {Py_tp_new, quaternion_new},
    {Py_tp_dealloc, quaternion_dealloc},
    {Py_tp_hash, quaternion_hash},
    {Py_tp_richcompare, quaternion_compare},
    {Py_tp_members, members},
    {Py_tp_methods, methods},
    {Py_nb_multiply, quaternion_multiply},
    {Py_nb_absolute, quaternion_absolute},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "quatern.Quaternion", .basicsize = sizeof(Quaternion), .flags = Py_TPFLAGS_DEFAULT, .slots = type_slots,
};

static int
exec(PyObject *module)
{
    Quaternion_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return Quaternion_type == NULL ? -1 : PyModule_AddType(module, Quaternion_type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "quatern", .m_slots = slots};

PyMODINIT_FUNC
PyInit_quatern(void)
{
    return PyModuleDef_Init(&def);
}
