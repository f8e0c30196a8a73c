#include <Python.h>

#include <algorithm>
#include <mutex>
#include <new>
#include <vector>

namespace {

struct Receivers {
    std::mutex mutex;
    std::vector<PyObject *> list;
    unsigned long long sent = 0;
};

struct Signal {
    PyObject_HEAD
    Receivers *receivers;
};

PyObject *signal_new(PyTypeObject *type, PyObject *, PyObject *)
{
    auto *self = reinterpret_cast<Signal *>(type->tp_alloc(type, 0));
    if (self == nullptr)
        return nullptr;
    self->receivers = new (std::nothrow) Receivers();
    if (self->receivers == nullptr) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return reinterpret_cast<PyObject *>(self);
}

int signal_traverse(Signal *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    if (self->receivers != nullptr)
        for (PyObject *receiver : self->receivers->list)
            Py_VISIT(receiver);
    return 0;
}

int signal_clear(Signal *self)
{
    if (self->receivers == nullptr)
        return 0;
    std::vector<PyObject *> list;
    {
        std::lock_guard<std::mutex> hold(self->receivers->mutex);
        list.swap(self->receivers->list);
    }
    for (PyObject *receiver : list)
        Py_DECREF(receiver);
    return 0;
}

void signal_dealloc(Signal *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    signal_clear(self);
    delete self->receivers;
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject *signal_connect(Signal *self, PyObject *receiver)
{
    if (!PyCallable_Check(receiver)) {
        PyErr_SetString(PyExc_TypeError, "a receiver must be callable");
        return nullptr;
    }
    try {
        std::lock_guard<std::mutex> hold(self->receivers->mutex);
        self->receivers->list.push_back(receiver);
        Py_INCREF(receiver);
    }
    catch (const std::bad_alloc &) {
        return PyErr_NoMemory();
    }
    return Py_NewRef(receiver);
}

PyObject *signal_disconnect(Signal *self, PyObject *receiver)
{
    bool found;
    {
        std::lock_guard<std::mutex> hold(self->receivers->mutex);
        auto &list = self->receivers->list;
        auto at = std::find(list.begin(), list.end(), receiver);
        found = at != list.end();
        if (found)
            list.erase(at);
    }
    if (found)
        Py_DECREF(receiver);
    return PyBool_FromLong(found);
}

PyObject *signal_send(Signal *self, PyObject *args, PyObject *kwargs)
{
    std::vector<PyObject *> now;
    try {
        std::lock_guard<std::mutex> hold(self->receivers->mutex);
        now = self->receivers->list;
        for (PyObject *receiver : now)
            Py_INCREF(receiver);
        self->receivers->sent++;
    }
    catch (const std::bad_alloc &) {
        return PyErr_NoMemory();
    }
    PyObject *answers = PyList_New(0);
    for (PyObject *receiver : now) {
        PyObject *answer = answers == nullptr ? nullptr : PyObject_Call(receiver, args, kwargs);
        if (answer == nullptr || PyList_Append(answers, answer) < 0)
            Py_CLEAR(answers);
        Py_XDECREF(answer);
    }
    for (PyObject *receiver : now)
        Py_DECREF(receiver);
    return answers;
}

PyObject *signal_sent(Signal *self, void *)
{
    std::lock_guard<std::mutex> hold(self->receivers->mutex);
    return PyLong_FromUnsignedLongLong(self->receivers->sent);
}

Py_ssize_t signal_length(Signal *self)
{
    std::lock_guard<std::mutex> hold(self->receivers->mutex);
    return static_cast<Py_ssize_t>(self->receivers->list.size());
}

PyMethodDef signal_methods[] = {
    {"connect", reinterpret_cast<PyCFunction>(signal_connect), METH_O, "connect(receiver) -> receiver"},
    {"disconnect", reinterpret_cast<PyCFunction>(signal_disconnect), METH_O, "disconnect(receiver) -> bool"},
    {"send", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(signal_send)), METH_VARARGS | METH_KEYWORDS,
     "send(*args, **kwargs) -> list\n\nCall every receiver; their answers in order."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef signal_getset[] = {
    {"sent", reinterpret_cast<getter>(signal_sent), nullptr, "How often send() was called.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot signal_slots[] = {
    {Py_tp_doc, const_cast<char *>("Signal()")},
    {Py_tp_new, reinterpret_cast<void *>(signal_new)},
    {Py_tp_dealloc, reinterpret_cast<void *>(signal_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void *>(signal_traverse)},
    {Py_tp_clear, reinterpret_cast<void *>(signal_clear)},
    {Py_tp_methods, signal_methods},
    {Py_tp_getset, signal_getset},
    {Py_sq_length, reinterpret_cast<void *>(signal_length)},
    {0, nullptr},
};

PyType_Spec signal_spec = {"signalbox.Signal", sizeof(Signal), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, signal_slots};

int exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &signal_spec, nullptr);
    return type == nullptr ? -1 : PyModule_Add(module, "Signal", type);
}

PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void *>(exec)},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, nullptr},
};

PyModuleDef def = {PyModuleDef_HEAD_INIT, "signalbox", nullptr, 0, nullptr, slots, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit_signalbox()
{
    return PyModuleDef_Init(&def);
}
