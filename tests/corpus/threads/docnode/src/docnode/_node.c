#include <Python.h>
#include <structmember.h>

typedef struct {
    PyObject_HEAD
    PyObject *tag;
    PyObject *attributes; /* most nodes have none: made when asked for */
    PyObject *children;
} Node;

static PyObject *
Node_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"tag", NULL};
    PyObject *tag;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "U:Node", names, &tag))
        return NULL;
    if (!PyUnicode_IsIdentifier(tag)) {
        PyErr_Format(PyExc_ValueError, "%R is not a tag", tag);
        return NULL;
    }
    Node *self = (Node *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->tag = Py_NewRef(tag);
    self->children = PyList_New(0);
    if (self->children == NULL)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static int
Node_traverse(Node *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->attributes);
    Py_VISIT(self->children);
    return 0;
}

static int
Node_clear(Node *self)
{
    Py_CLEAR(self->attributes);
    Py_CLEAR(self->children);
    return 0;
}

static void
Node_dealloc(Node *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Node_clear(self);
    Py_CLEAR(self->tag);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
Node_get_attributes(Node *self, void *closure)
{
    if (self->attributes == NULL) {
        self->attributes = PyDict_New();
        if (self->attributes == NULL)
            return NULL;
    }
    return Py_NewRef(self->attributes);
}

static int
Node_set_attributes(Node *self, PyObject *value, void *closure)
{
    if (value != NULL && !PyDict_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "attributes must be a dict");
        return -1;
    }
    Py_XSETREF(self->attributes, Py_XNewRef(value));
    return 0;
}

static PyObject *
Node_get_children(Node *self, void *closure)
{
    return PyList_AsTuple(self->children);
}

static PyObject *
Node_append(Node *self, PyObject *child)
{
    if (!Py_IS_TYPE(child, Py_TYPE(self))) {
        PyErr_SetString(PyExc_TypeError, "a child must be a Node");
        return NULL;
    }
    if (PyList_Append(self->children, child) < 0)
        return NULL;
    return Py_NewRef(child);
}

static PyMethodDef Node_methods[] = {
    {"append", (PyCFunction)Node_append, METH_O, "append(child, /)\n--\n\nAdd a child and return it."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef Node_members[] = {
    {"tag", Py_T_OBJECT_EX, offsetof(Node, tag), Py_READONLY, NULL},
    {NULL},
};

static PyGetSetDef Node_getset[] = {
    {"attributes", (getter)Node_get_attributes, (setter)Node_set_attributes, "A dict; deleting it empties it.", NULL},
    {"children", (getter)Node_get_children, NULL, "The children so far, as a tuple.", NULL},
    {NULL},
};

static PyType_Slot Node_slots[] = {
    {Py_tp_doc, "Node(tag)\n--\n\nAn element."},
    {Py_tp_new, Node_new},
    {Py_tp_traverse, Node_traverse},
    {Py_tp_clear, Node_clear},
    {Py_tp_dealloc, Node_dealloc},
    {Py_tp_methods, Node_methods},
    {Py_tp_members, Node_members},
    {Py_tp_getset, Node_getset},
    {0, NULL},
};

static PyType_Spec Node_spec = {
    .name = "docnode._node.Node",
    .basicsize = sizeof(Node),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = Node_slots,
};

static int
exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Node_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Node", type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "_node", .m_slots = slots};

PyMODINIT_FUNC
PyInit__node(void)
{
    return PyModuleDef_Init(&def);
}
