#include <Python.h>
#include <math.h>
#include <structmember.h>

#define MAX_SPARE 64

typedef struct {
    PyObject_HEAD
    double x, y, z;
} Vec3;

static PyTypeObject Vec3_Type;

/* Vectors come and go by the million in a loop: keep a few for reuse. */
static Vec3 *spare[MAX_SPARE];
static int spare_count = 0;

static PyObject *
vec_make(double x, double y, double z)
{
    Vec3 *self;

    if (spare_count > 0) {
        self = spare[--spare_count];
        PyObject_Init((PyObject *)self, &Vec3_Type);
    }
    else {
        self = PyObject_New(Vec3, &Vec3_Type);
        if (self == NULL)
            return NULL;
    }
    self->x = x;
    self->y = y;
    self->z = z;
    return (PyObject *)self;
}

static PyObject *
vec_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"x", "y", "z", NULL};
    double x, y, z;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ddd:Vec3", names, &x, &y, &z))
        return NULL;
    return vec_make(x, y, z);
}

static void
vec_dealloc(Vec3 *self)
{
    if (spare_count < MAX_SPARE)
        spare[spare_count++] = self;
    else
        PyObject_Free(self);
}

static PyObject *
vec_repr(Vec3 *self)
{
    char text[128];
    snprintf(text, sizeof(text), "Vec3(%g, %g, %g)", self->x, self->y, self->z);
    return PyUnicode_FromString(text);
}

static PyObject *
vec_add(PyObject *left, PyObject *right)
{
    if (!Py_IS_TYPE(left, &Vec3_Type) || !Py_IS_TYPE(right, &Vec3_Type))
        Py_RETURN_NOTIMPLEMENTED;
    Vec3 *a = (Vec3 *)left, *b = (Vec3 *)right;
    return vec_make(a->x + b->x, a->y + b->y, a->z + b->z);
}

static PyObject *
vec_subtract(PyObject *left, PyObject *right)
{
    if (!Py_IS_TYPE(left, &Vec3_Type) || !Py_IS_TYPE(right, &Vec3_Type))
        Py_RETURN_NOTIMPLEMENTED;
    Vec3 *a = (Vec3 *)left, *b = (Vec3 *)right;
    return vec_make(a->x - b->x, a->y - b->y, a->z - b->z);
}

static PyObject *
vec_absolute(Vec3 *self)
{
    return PyFloat_FromDouble(sqrt(self->x * self->x + self->y * self->y + self->z * self->z));
}

static PyObject *
vec_compare(PyObject *left, PyObject *right, int op)
{
    if (!Py_IS_TYPE(left, &Vec3_Type) || !Py_IS_TYPE(right, &Vec3_Type) || (op != Py_EQ && op != Py_NE))
        Py_RETURN_NOTIMPLEMENTED;
    Vec3 *a = (Vec3 *)left, *b = (Vec3 *)right;
    int same = a->x == b->x && a->y == b->y && a->z == b->z;
    return PyBool_FromLong(op == Py_EQ ? same : !same);
}

static PyObject *
vec_scaled(Vec3 *self, PyObject *arg)
{
    double factor = PyFloat_AsDouble(arg);
    if (factor == -1.0 && PyErr_Occurred())
        return NULL;
    return vec_make(self->x * factor, self->y * factor, self->z * factor);
}

static PyNumberMethods vec_number = {
    .nb_add = vec_add, .nb_subtract = vec_subtract, .nb_absolute = (unaryfunc)vec_absolute,
};

static PyMemberDef vec_members[] = {
    {"x", Py_T_DOUBLE, offsetof(Vec3, x), Py_READONLY, NULL},
    {"y", Py_T_DOUBLE, offsetof(Vec3, y), Py_READONLY, NULL},
    {"z", Py_T_DOUBLE, offsetof(Vec3, z), Py_READONLY, NULL},
    {NULL},
};

static PyMethodDef vec_methods[] = {
    {"scaled", (PyCFunction)vec_scaled, METH_O, "The vector times a number."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject Vec3_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "vectrio.Vec3",
    .tp_basicsize = sizeof(Vec3),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "Vec3(x, y, z)",
    .tp_new = vec_new,
    .tp_dealloc = (destructor)vec_dealloc,
    .tp_repr = (reprfunc)vec_repr,
    .tp_richcompare = vec_compare,
    .tp_hash = PyObject_HashNotImplemented,
    .tp_as_number = &vec_number,
    .tp_members = vec_members,
    .tp_methods = vec_methods,
};

static PyObject *
vec_dot(PyObject *module, PyObject *args)
{
    Vec3 *a, *b;
    if (!PyArg_ParseTuple(args, "O!O!:dot", &Vec3_Type, &a, &Vec3_Type, &b))
        return NULL;
    return PyFloat_FromDouble(a->x * b->x + a->y * b->y + a->z * b->z);
}

static PyObject *
vec_cross(PyObject *module, PyObject *args)
{
    Vec3 *a, *b;
    if (!PyArg_ParseTuple(args, "O!O!:cross", &Vec3_Type, &a, &Vec3_Type, &b))
        return NULL;
    return vec_make(a->y * b->z - a->z * b->y, a->z * b->x - a->x * b->z, a->x * b->y - a->y * b->x);
}

static PyMethodDef functions[] = {
    {"dot", vec_dot, METH_VARARGS, "Scalar product."},
    {"cross", vec_cross, METH_VARARGS, "Vector product."},
    {NULL, NULL, 0, NULL},
};

static int
exec(PyObject *module)
{
    return PyModule_AddType(module, &Vec3_Type);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, exec},
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef def = {
    PyModuleDef_HEAD_INIT, .m_name = "vectrio._vec", .m_methods = functions, .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__vec(void)
{
    return PyModuleDef_Init(&def);
}
