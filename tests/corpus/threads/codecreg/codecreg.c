/* Converters by name. There are never many: an array is quicker than a dict. */
#include <Python.h>

#define MAX_ENTRIES 64
#define MAX_NAME 23

typedef struct {
    char name[MAX_NAME + 1];
    PyObject *converter;
} Entry;

static Entry entries[MAX_ENTRIES];
static int used = 0;

static int
find(const char *name)
{
    for (int i = 0; i < used; i++)
        if (strcmp(entries[i].name, name) == 0)
            return i;
    return -1;
}

static PyObject *
add(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"name", "converter", "replace", NULL};
    const char *name;
    PyObject *converter;
    int replace = 0;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "sO|p:register", names, &name, &converter, &replace))
        return NULL;
    if (!PyCallable_Check(converter)) {
        PyErr_SetString(PyExc_TypeError, "converter must be callable");
        return NULL;
    }
    if (name[0] == '\0' || strlen(name) > MAX_NAME) {
        PyErr_Format(PyExc_ValueError, "a name has 1 to %d bytes", MAX_NAME);
        return NULL;
    }
    int at = find(name);
    if (at >= 0 && !replace) {
        PyErr_Format(PyExc_KeyError, "%s is registered already", name);
        return NULL;
    }
    if (at < 0) {
        if (used == MAX_ENTRIES) {
            PyErr_SetString(PyExc_OverflowError, "too many converters");
            return NULL;
        }
        at = used++;
        strcpy(entries[at].name, name);
    }
    Py_XSETREF(entries[at].converter, Py_NewRef(converter));
    Py_RETURN_NONE;
}

static PyObject *
discard(PyObject *module, PyObject *arg)
{
    const char *name = PyUnicode_AsUTF8(arg);
    if (name == NULL)
        return NULL;
    int at = find(name);
    if (at < 0)
        Py_RETURN_FALSE;
    PyObject *converter = entries[at].converter;
    entries[at] = entries[used - 1];
    used--;
    entries[used].converter = NULL;
    Py_XDECREF(converter);
    Py_RETURN_TRUE;
}

static PyObject *
convert(PyObject *module, PyObject *args)
{
    const char *name;
    PyObject *value;

    if (!PyArg_ParseTuple(args, "sO:convert", &name, &value))
        return NULL;
    int at = find(name);
    if (at < 0 || entries[at].converter == NULL) {
        PyErr_Format(PyExc_LookupError, "no converter is called %s", name);
        return NULL;
    }
    PyObject *converter = Py_NewRef(entries[at].converter);
    PyObject *result = PyObject_CallOneArg(converter, value);
    Py_DECREF(converter);
    return result;
}

static PyObject *
registered(PyObject *module, PyObject *unused)
{
    PyObject *result = PyList_New(0);
    for (int i = 0; result != NULL && i < used; i++) {
        PyObject *name = PyUnicode_FromString(entries[i].name);
        if (name == NULL || PyList_Append(result, name) < 0)
            Py_CLEAR(result);
        Py_XDECREF(name);
    }
    return result;
}

static PyMethodDef methods[] = {
    {"register", (PyCFunction)(void (*)(void))add, METH_VARARGS | METH_KEYWORDS,
     "register(name: str, converter: Callable, replace: bool = False) -> None"},
    {"discard", discard, METH_O, "discard(name: str) -> bool"},
    {"convert", convert, METH_VARARGS, "convert(name: str, value) -> object"},
    {"registered", registered, METH_NOARGS, "registered() -> list[str]"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {
    PyModuleDef_HEAD_INIT, .m_name = "codecreg", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_codecreg(void)
{
    return PyModuleDef_Init(&def);
}
