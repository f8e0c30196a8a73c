/* Modules with a known answer. `racy` counts without any protection, `clean` with an atomic operation; in `freed` threads
 * look into an object without a reference to it, and each now and then puts another one in its place. */
#include <Python.h>
#include <stdatomic.h>

#define TEXT(name) #name
#define STRING(name) TEXT(name)
#define JOIN(left, right) left##right
#define INIT(name) JOIN(PyInit_, name)

#ifdef freed
#define LENGTH 64 /* bytes of one character are never given back */
#define EVERY 4 /* calls, of which one replaces the object */

static _Atomic(PyObject *) shared;
static atomic_long calls, looking;

static PyObject *
canary_step(PyObject *module, PyObject *unused)
{
    /* Relaxed operations keep the memory until nobody looks into it any more, so that nothing ever breaks; to the
     * sanitizer they order nothing. */
    long first = 0;
    atomic_fetch_add_explicit(&looking, 1, memory_order_relaxed);
    PyObject *borrowed = atomic_load_explicit(&shared, memory_order_acquire);
    if (borrowed != NULL) {
        first = PyBytes_AS_STRING(borrowed)[0];
    }
    atomic_fetch_sub_explicit(&looking, 1, memory_order_relaxed);

    if (atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) % EVERY == 0) {
        char content[LENGTH];
        memset(content, 'a', LENGTH);
        PyObject *next = PyBytes_FromStringAndSize(content, LENGTH);
        if (next == NULL) {
            return NULL;
        }
        PyObject *last = atomic_exchange_explicit(&shared, next, memory_order_acq_rel);
        while (atomic_load_explicit(&looking, memory_order_relaxed) > 0) {
        }
        Py_XDECREF(last);
    }

    return PyLong_FromLong(first);
}
#else
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
#endif

static PyMethodDef methods[] = {{"step", canary_step, METH_NOARGS, NULL}, {NULL}};
static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};
static PyModuleDef definition = {PyModuleDef_HEAD_INIT, STRING(NAME), NULL, 0, methods, slots};

PyMODINIT_FUNC
INIT(NAME)(void)
{
    return PyModuleDef_Init(&definition);
}
