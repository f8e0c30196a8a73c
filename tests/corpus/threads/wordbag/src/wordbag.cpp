#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <algorithm>
#include <new>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

struct Bag {
    PyObject_HEAD
    std::unordered_map<std::string, long> words;
    long total;
};

PyObject *bag_new(PyTypeObject *type, PyObject *, PyObject *)
{
    auto *self = reinterpret_cast<Bag *>(type->tp_alloc(type, 0));
    if (self != nullptr) {
        new (&self->words) std::unordered_map<std::string, long>();
        self->total = 0;
    }
    return reinterpret_cast<PyObject *>(self);
}

void bag_dealloc(Bag *self)
{
    PyTypeObject *type = Py_TYPE(self);
    self->words.~unordered_map();
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject *bag_add(Bag *self, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {"word", "times", nullptr};
    const char *word;
    Py_ssize_t length;
    long times = 1;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s#|l:add", const_cast<char **>(names), &word, &length, &times))
        return nullptr;
    if (length == 0 || times < 1) {
        PyErr_SetString(PyExc_ValueError, length == 0 ? "a word cannot be empty" : "times must be positive");
        return nullptr;
    }
    try {
        self->words[std::string(word, length)] += times;
    }
    catch (const std::bad_alloc &) {
        return PyErr_NoMemory();
    }
    self->total += times;
    Py_RETURN_NONE;
}

PyObject *bag_most_common(Bag *self, PyObject *args)
{
    Py_ssize_t limit = 10;
    if (!PyArg_ParseTuple(args, "|n:most_common", &limit))
        return nullptr;
    std::vector<std::pair<std::string, long>> items(self->words.begin(), self->words.end());
    std::sort(items.begin(), items.end(), [](const auto &a, const auto &b) {
        return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    if (limit >= 0 && static_cast<size_t>(limit) < items.size())
        items.resize(limit);
    PyObject *result = PyList_New(0);
    for (const auto &[word, count] : items) {
        PyObject *pair = result == nullptr ? nullptr : Py_BuildValue("s#l", word.data(), (Py_ssize_t)word.size(), count);
        if (pair == nullptr || PyList_Append(result, pair) < 0)
            Py_CLEAR(result);
        Py_XDECREF(pair);
    }
    return result;
}

PyObject *bag_subscript(Bag *self, PyObject *key)
{
    Py_ssize_t length;
    const char *word = PyUnicode_AsUTF8AndSize(key, &length);
    if (word == nullptr)
        return nullptr;
    auto found = self->words.find(std::string(word, length));
    return PyLong_FromLong(found == self->words.end() ? 0 : found->second);
}

Py_ssize_t bag_length(Bag *self)
{
    return static_cast<Py_ssize_t>(self->words.size());
}

PyObject *bag_total(Bag *self, void *)
{
    return PyLong_FromLong(self->total);
}

PyMethodDef bag_methods[] = {
    {"add", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(bag_add)), METH_VARARGS | METH_KEYWORDS,
     "add($self, word, times=1)\n--\n\nPut a word in the bag."},
    {"most_common", reinterpret_cast<PyCFunction>(bag_most_common), METH_VARARGS,
     "most_common($self, limit=10, /)\n--\n\nWords and counts, the most frequent first."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef bag_getset[] = {
    {"total", reinterpret_cast<getter>(bag_total), nullptr, "Words put in, repetitions counted.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot bag_slots[] = {
    {Py_tp_doc, const_cast<char *>("Bag()\n--\n\nCounts words.")},
    {Py_tp_new, reinterpret_cast<void *>(bag_new)},
    {Py_tp_dealloc, reinterpret_cast<void *>(bag_dealloc)},
    {Py_tp_methods, bag_methods},
    {Py_tp_getset, bag_getset},
    {Py_mp_subscript, reinterpret_cast<void *>(bag_subscript)},
    {Py_mp_length, reinterpret_cast<void *>(bag_length)},
    {0, nullptr},
};

PyType_Spec bag_spec = {"wordbag.Bag", sizeof(Bag), 0, Py_TPFLAGS_DEFAULT, bag_slots};

int wordbag_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &bag_spec, nullptr);
    return type == nullptr ? -1 : PyModule_Add(module, "Bag", type);
}

PyModuleDef_Slot wordbag_slots[] = {
    {Py_mod_exec, reinterpret_cast<void *>(wordbag_exec)},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, nullptr},
};

PyModuleDef wordbag = {PyModuleDef_HEAD_INIT, "wordbag", "A bag of words.", 0, nullptr, wordbag_slots,
                       nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit_wordbag()
{
    return PyModuleDef_Init(&wordbag);
}
