#include <Python.h>

#include <mutex>
#include <new>
#include <string>
#include <unordered_map>

namespace {

struct State {
    std::recursive_mutex mutex;
    std::unordered_map<std::string, PyObject *> values;
    unsigned long computed = 0;
};

struct Memo {
    PyObject_HEAD
    State *state;
};

PyObject *memo_new(PyTypeObject *type, PyObject *, PyObject *)
{
    auto *self = reinterpret_cast<Memo *>(type->tp_alloc(type, 0));
    if (self == nullptr)
        return nullptr;
    self->state = new (std::nothrow) State();
    if (self->state == nullptr) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return reinterpret_cast<PyObject *>(self);
}

int memo_traverse(Memo *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    if (self->state != nullptr)
        for (auto &item : self->state->values)
            Py_VISIT(item.second);
    return 0;
}

int memo_clear(Memo *self)
{
    std::unordered_map<std::string, PyObject *> values;
    values.swap(self->state->values);
    for (auto &item : values)
        Py_DECREF(item.second);
    return 0;
}

void memo_dealloc(Memo *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->state != nullptr) {
        memo_clear(self);
        delete self->state;
    }
    type->tp_free(self);
    Py_DECREF(type);
}

/* A value whose factory asks for other values of the same memo is fine: the mutex is recursive. */
PyObject *memo_get(Memo *self, PyObject *args)
{
    const char *name;
    PyObject *factory;

    if (!PyArg_ParseTuple(args, "sO:get", &name, &factory))
        return nullptr;
    std::lock_guard<std::recursive_mutex> hold(self->state->mutex);
    auto found = self->state->values.find(name);
    if (found != self->state->values.end())
        return Py_NewRef(found->second);
    PyObject *value = PyObject_CallNoArgs(factory);
    if (value == nullptr)
        return nullptr;
    self->state->computed++;
    if (!self->state->values.emplace(name, value).second) {
        Py_DECREF(value);
        return Py_NewRef(self->state->values[name]);
    }
    return Py_NewRef(value);
}

PyObject *memo_forget(Memo *self, PyObject *arg)
{
    const char *name = PyUnicode_AsUTF8(arg);
    PyObject *value = nullptr;

    if (name == nullptr)
        return nullptr;
    {
        std::lock_guard<std::recursive_mutex> hold(self->state->mutex);
        auto found = self->state->values.find(name);
        if (found != self->state->values.end()) {
            value = found->second;
            self->state->values.erase(found);
        }
    }
    bool known = value != nullptr;
    Py_XDECREF(value);
    return PyBool_FromLong(known);
}

PyObject *memo_computed(Memo *self, void *)
{
    std::lock_guard<std::recursive_mutex> hold(self->state->mutex);
    return PyLong_FromUnsignedLong(self->state->computed);
}

PyMethodDef memo_methods[] = {
    {"get", reinterpret_cast<PyCFunction>(memo_get), METH_VARARGS,
     "get($self, name, factory, /)\n--\n\nThe value of this name; factory() makes it the first time."},
    {"forget", reinterpret_cast<PyCFunction>(memo_forget), METH_O,
     "forget($self, name, /)\n--\n\nDrop a value. True if there was one."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef memo_getset[] = {
    {"computed", reinterpret_cast<getter>(memo_computed), nullptr, "How often a factory was called.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot memo_slots[] = {
    {Py_tp_doc, const_cast<char *>("Memo()\n--\n\nValues computed on demand.")},
    {Py_tp_new, reinterpret_cast<void *>(memo_new)},
    {Py_tp_dealloc, reinterpret_cast<void *>(memo_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void *>(memo_traverse)},
    {Py_tp_clear, reinterpret_cast<void *>(memo_clear)},
    {Py_tp_methods, memo_methods},
    {Py_tp_getset, memo_getset},
    {0, nullptr},
};

PyType_Spec memo_spec = {"memoir._memo.Memo", sizeof(Memo), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, memo_slots};

int memo_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &memo_spec, nullptr);
    return type == nullptr ? -1 : PyModule_Add(module, "Memo", type);
}

PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void *>(memo_exec)},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, nullptr},
};

PyModuleDef def = {PyModuleDef_HEAD_INIT, "_memo", nullptr, 0, nullptr, slots, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__memo()
{
    return PyModuleDef_Init(&def);
}
