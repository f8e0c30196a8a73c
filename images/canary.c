/* Two modules with a known answer: `racy` counts without any protection, `clean` with an atomic operation. */
#include <Python.h>
#include <stdatomic.h>

#define TEXT(name) #name
#define STRING(name) TEXT(name)
#define JOIN(left, right) left##right
#define INIT(name) JOIN(PyInit_, name)

#ifdef racy
static long count;
#define NEXT() (++count)
#else
static atomic_long count;
#define NEXT() (atomic_fetch_add(&count, 1) + 1)
#endif

static PyObject *
canary_step(PyObject *module, PyObject *unused)
{
    return PyLong_FromLong(NEXT());
}

static PyMethodDef methods[] = {{"step", canary_step, METH_NOARGS, NULL}, {NULL}};
static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};
static PyModuleDef definition = {PyModuleDef_HEAD_INIT, STRING(NAME), NULL, 0, methods, slots};

PyMODINIT_FUNC
INIT(NAME)(void)
{
    return PyModuleDef_Init(&definition);
}
