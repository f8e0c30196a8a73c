#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct Patterns {
    PyObject_HEAD
    std::unique_ptr<const std::vector<std::string>> list;
};

bool matches(std::string_view pattern, std::string_view name)
{
    size_t p = 0, n = 0, star = std::string_view::npos, retry = 0;
    while (n < name.size()) {
        if (p < pattern.size() && (pattern[p] == '?' || (pattern[p] != '*' && pattern[p] == name[n]))) {
            p++;
            n++;
        }
        else if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            retry = n;
        }
        else if (star != std::string_view::npos) {
            p = star + 1;
            n = ++retry;
        }
        else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*')
        p++;
    return p == pattern.size();
}

PyObject *patterns_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {"patterns", nullptr};
    PyObject *given;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:Patterns", const_cast<char **>(names), &given))
        return nullptr;
    PyObject *items = PySequence_Tuple(given);
    if (items == nullptr)
        return nullptr;
    std::vector<std::string> list;
    try {
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items); i++) {
            Py_ssize_t length;
            const char *text = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(items, i), &length);
            if (text == nullptr)
                break;
            list.emplace_back(text, length);
        }
    }
    catch (const std::bad_alloc &) {
        PyErr_NoMemory();
    }
    Py_DECREF(items);
    if (PyErr_Occurred())
        return nullptr;
    auto *self = reinterpret_cast<Patterns *>(type->tp_alloc(type, 0));
    if (self != nullptr)
        new (&self->list) std::unique_ptr<const std::vector<std::string>>(
            std::make_unique<const std::vector<std::string>>(std::move(list)));
    return reinterpret_cast<PyObject *>(self);
}

void patterns_dealloc(Patterns *self)
{
    PyTypeObject *type = Py_TYPE(self);
    self->list.~unique_ptr();
    type->tp_free(self);
    Py_DECREF(type);
}

Py_ssize_t first_match(Patterns *self, PyObject *name)
{
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(name, &length);
    if (text == nullptr)
        return -2;
    for (size_t i = 0; i < self->list->size(); i++)
        if (matches((*self->list)[i], std::string_view(text, length)))
            return static_cast<Py_ssize_t>(i);
    return -1;
}

PyObject *patterns_find(Patterns *self, PyObject *name)
{
    Py_ssize_t at = first_match(self, name);
    if (at == -2)
        return nullptr;
    if (at == -1)
        Py_RETURN_NONE;
    const std::string &pattern = (*self->list)[at];
    return PyUnicode_FromStringAndSize(pattern.data(), pattern.size());
}

int patterns_contains(Patterns *self, PyObject *name)
{
    Py_ssize_t at = first_match(self, name);
    return at == -2 ? -1 : at >= 0;
}

Py_ssize_t patterns_length(Patterns *self)
{
    return static_cast<Py_ssize_t>(self->list->size());
}

PyMethodDef methods[] = {
    {"find", reinterpret_cast<PyCFunction>(patterns_find), METH_O, "find(name: str) -> str | None\n\nThe first pattern that fits."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot type_slots[] = {
    {Py_tp_doc, const_cast<char *>("Patterns(patterns: Iterable[str])\n\nPatterns of * and ?.")},
    {Py_tp_new, reinterpret_cast<void *>(patterns_new)},
    {Py_tp_dealloc, reinterpret_cast<void *>(patterns_dealloc)},
    {Py_tp_methods, methods},
    {Py_sq_length, reinterpret_cast<void *>(patterns_length)},
    {Py_sq_contains, reinterpret_cast<void *>(patterns_contains)},
    {0, nullptr},
};

PyType_Spec spec = {"globset._match.Patterns", sizeof(Patterns), 0, Py_TPFLAGS_DEFAULT, type_slots};

int exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, nullptr);
    return type == nullptr ? -1 : PyModule_Add(module, "Patterns", type);
}

PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void *>(exec)},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, nullptr},
};

PyModuleDef def = {PyModuleDef_HEAD_INIT, "_match", nullptr, 0, nullptr, slots, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__match()
{
    return PyModuleDef_Init(&def);
}
