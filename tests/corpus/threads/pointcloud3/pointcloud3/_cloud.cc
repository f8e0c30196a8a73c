#include <Python.h>

#include <new>
#include <vector>

struct Point {
    double x, y, z;
};

struct Cloud {
    PyObject_HEAD
    std::vector<Point> *points;
};

static PyObject *Cloud_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    Cloud *self = (Cloud *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->points = new (std::nothrow) std::vector<Point>();
    if (self->points == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void Cloud_dealloc(Cloud *self)
{
    PyTypeObject *type = Py_TYPE(self);
    delete self->points;
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *Cloud_append(Cloud *self, PyObject *args)
{
    Point point;
    if (!PyArg_ParseTuple(args, "ddd:append", &point.x, &point.y, &point.z))
        return NULL;
    try {
        self->points->push_back(point);
    }
    catch (const std::bad_alloc &) {
        return PyErr_NoMemory();
    }
    Py_RETURN_NONE;
}

static PyObject *as_tuple(const Point &point)
{
    return Py_BuildValue("ddd", point.x, point.y, point.z);
}

static PyObject *Cloud_pop(Cloud *self, PyObject *)
{
    if (self->points->empty()) {
        PyErr_SetString(PyExc_IndexError, "pop from an empty cloud");
        return NULL;
    }
    Point last = self->points->back();
    self->points->pop_back();
    return as_tuple(last);
}

static PyObject *Cloud_centroid(Cloud *self, PyObject *)
{
    Point sum = {0, 0, 0};
    if (self->points->empty()) {
        PyErr_SetString(PyExc_ValueError, "an empty cloud has no centroid");
        return NULL;
    }
    for (const Point &point : *self->points) {
        sum.x += point.x;
        sum.y += point.y;
        sum.z += point.z;
    }
    double n = (double)self->points->size();
    return as_tuple({sum.x / n, sum.y / n, sum.z / n});
}

static Py_ssize_t Cloud_length(Cloud *self)
{
    return (Py_ssize_t)self->points->size();
}

static PyObject *Cloud_item(Cloud *self, Py_ssize_t index)
{
    if (index < 0 || index >= (Py_ssize_t)self->points->size()) {
        PyErr_SetString(PyExc_IndexError, "no such point");
        return NULL;
    }
    return as_tuple((*self->points)[index]);
}

static int Cloud_assign(Cloud *self, Py_ssize_t index, PyObject *value)
{
    if (index < 0 || index >= (Py_ssize_t)self->points->size()) {
        PyErr_SetString(PyExc_IndexError, "no such point");
        return -1;
    }
    if (value == NULL) {
        self->points->erase(self->points->begin() + index);
        return 0;
    }
    Point point;
    if (!PyArg_Parse(value, "(ddd)", &point.x, &point.y, &point.z))
        return -1;
    if (index >= (Py_ssize_t)self->points->size()) {
        PyErr_SetString(PyExc_IndexError, "the cloud shrank");
        return -1;
    }
    (*self->points)[index] = point;
    return 0;
}

static PyMethodDef Cloud_methods[] = {
    {"append", (PyCFunction)Cloud_append, METH_VARARGS, "Add a point."},
    {"pop", (PyCFunction)Cloud_pop, METH_NOARGS, "Remove and return the last point."},
    {"centroid", (PyCFunction)Cloud_centroid, METH_NOARGS, "Mean of all points."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Cloud_slots[] = {
    {Py_tp_new, (void *)Cloud_new},
    {Py_tp_dealloc, (void *)Cloud_dealloc},
    {Py_tp_methods, (void *)Cloud_methods},
    {Py_sq_length, (void *)Cloud_length},
    {Py_sq_item, (void *)Cloud_item},
    {Py_sq_ass_item, (void *)Cloud_assign},
    {0, NULL},
};

static PyType_Spec Cloud_spec = {"pointcloud3._cloud.Cloud", sizeof(Cloud), 0, Py_TPFLAGS_DEFAULT, Cloud_slots};

static int exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Cloud_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Cloud", type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static PyModuleDef def = {PyModuleDef_HEAD_INIT, "_cloud", NULL, 0, NULL, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__cloud(void)
{
    return PyModuleDef_Init(&def);
}
