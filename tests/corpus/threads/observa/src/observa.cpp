#include <Python.h>

#include <new>
#include <vector>

struct Value {
    PyObject_HEAD
    PyObject *current;
    std::vector<PyObject *> observers;
};

static PyObject *value_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {"initial", nullptr};
    PyObject *initial = Py_None;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:Value", const_cast<char **>(names), &initial))
        return nullptr;
    Value *self = reinterpret_cast<Value *>(type->tp_alloc(type, 0));
    if (self == nullptr)
        return nullptr;
    new (&self->observers) std::vector<PyObject *>();
    self->current = Py_NewRef(initial);
    return reinterpret_cast<PyObject *>(self);
}

static int value_traverse(Value *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->current);
    for (PyObject *observer : self->observers)
        Py_VISIT(observer);
    return 0;
}

static int value_clear(Value *self)
{
    std::vector<PyObject *> observers;
    observers.swap(self->observers);
    for (PyObject *observer : observers)
        Py_DECREF(observer);
    Py_CLEAR(self->current);
    return 0;
}

static void value_dealloc(Value *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    value_clear(self);
    self->observers.~vector();
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *value_observe(Value *self, PyObject *observer)
{
    if (!PyCallable_Check(observer)) {
        PyErr_SetString(PyExc_TypeError, "an observer must be callable");
        return nullptr;
    }
    try {
        self->observers.push_back(observer);
    }
    catch (const std::bad_alloc &) {
        return PyErr_NoMemory();
    }
    Py_INCREF(observer);
    Py_RETURN_NONE;
}

static PyObject *value_ignore(Value *self, PyObject *observer)
{
    for (size_t i = 0; i < self->observers.size(); i++) {
        if (self->observers[i] != observer)
            continue;
        self->observers.erase(self->observers.begin() + static_cast<std::ptrdiff_t>(i));
        Py_DECREF(observer);
        Py_RETURN_TRUE;
    }
    Py_RETURN_FALSE;
}

/* An observer may add or remove observers: the size is looked at anew each time. */
static PyObject *value_notify(Value *self, PyObject *)
{
    Py_ssize_t called = 0;
    PyObject *current;

    Py_BEGIN_CRITICAL_SECTION(self);
    current = Py_NewRef(self->current);
    Py_END_CRITICAL_SECTION();
    for (size_t i = 0; i < self->observers.size(); i++) {
        PyObject *observer = Py_NewRef(self->observers[i]);
        PyObject *answer = PyObject_CallOneArg(observer, current);
        Py_DECREF(observer);
        if (answer == nullptr) {
            Py_DECREF(current);
            return nullptr;
        }
        Py_DECREF(answer);
        called++;
    }
    Py_DECREF(current);
    return PyLong_FromSsize_t(called);
}

static PyObject *value_get(Value *self, void *)
{
    PyObject *current;
    Py_BEGIN_CRITICAL_SECTION(self);
    current = Py_NewRef(self->current);
    Py_END_CRITICAL_SECTION();
    return current;
}

static int value_set(Value *self, PyObject *value, void *)
{
    if (value == nullptr) {
        PyErr_SetString(PyExc_AttributeError, "the value cannot be deleted");
        return -1;
    }
    PyObject *old;
    Py_BEGIN_CRITICAL_SECTION(self);
    old = self->current;
    self->current = Py_NewRef(value);
    Py_END_CRITICAL_SECTION();
    Py_DECREF(old);
    return 0;
}

static PyMethodDef value_methods[] = {
    {"observe", (PyCFunction)value_observe, METH_O, "observe(callable, /)\n--\n\nCall it with the value on notify()."},
    {"ignore", (PyCFunction)value_ignore, METH_O, "ignore(callable, /)\n--\n\nTrue if it was an observer."},
    {"notify", (PyCFunction)value_notify, METH_NOARGS, "notify()\n--\n\nCall all observers; how many there were."},
    {nullptr, nullptr, 0, nullptr},
};

static PyGetSetDef value_getset[] = {
    {"value", (getter)value_get, (setter)value_set, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

static PyType_Slot value_slots[] = {
    {Py_tp_doc, (void *)"Value(initial=None)\n--\n\nA value that can be observed."},
    {Py_tp_new, (void *)value_new},
    {Py_tp_traverse, (void *)value_traverse},
    {Py_tp_clear, (void *)value_clear},
    {Py_tp_dealloc, (void *)value_dealloc},
    {Py_tp_methods, value_methods},
    {Py_tp_getset, value_getset},
    {0, nullptr},
};

static PyType_Spec value_spec = {"observa.Value", sizeof(Value), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, value_slots};

static int exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &value_spec, nullptr);
    return type == nullptr ? -1 : PyModule_Add(module, "Value", type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, nullptr}};

static PyModuleDef def = {PyModuleDef_HEAD_INIT, "observa", nullptr, 0, nullptr, slots, nullptr, nullptr, nullptr};

PyMODINIT_FUNC PyInit_observa(void)
{
    return PyModuleDef_Init(&def);
}
