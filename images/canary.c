/* Modules with a known answer. `racy` counts without any protection, `clean` with an atomic operation; in `freed` some
 * threads read an object without a reference to it, and others put another one in its place. */
#include <Python.h>
#include <stdatomic.h>

#define TEXT(name) #name
#define STRING(name) TEXT(name)
#define JOIN(left, right) left##right
#define INIT(name) JOIN(PyInit_, name)

#ifdef freed
#include <sched.h>
#include <time.h>

#define LENGTH 64 /* bytes of one character are never given back */
#define MOST 20 /* objects that are replaced: one that is seen is enough */
#define PATIENCE 200 /* looks for somebody who has read an object, before it is replaced all the same */

/* Nothing here ever breaks: an object that is replaced is kept until nobody reads it. That threads wait for one another
 * by relaxed operations, which to the sanitizer order nothing, makes it certain that objects are read before they are
 * freed, also where the threads take turns on one CPU. */
static _Atomic(PyObject *) shared;
static atomic_long threads, replaced, readings, reading;
static _Thread_local int has_role, is_replacing;

static long
canary_read(void)
{
    long first = 0;
    atomic_fetch_add_explicit(&reading, 1, memory_order_relaxed);
    PyObject *borrowed = atomic_load_explicit(&shared, memory_order_acquire);
    if (borrowed != NULL) {
        first = PyBytes_AS_STRING(borrowed)[0];
        atomic_fetch_add_explicit(&readings, 1, memory_order_relaxed);
    }
    atomic_fetch_sub_explicit(&reading, 1, memory_order_relaxed);
    return first;
}

static int
canary_replace(void)
{
    char content[LENGTH];
    memset(content, 'a', LENGTH);
    PyObject *next = PyBytes_FromStringAndSize(content, LENGTH);
    if (next == NULL) {
        return -1;
    }
    PyObject *last = atomic_exchange_explicit(&shared, next, memory_order_acq_rel);
    while (atomic_load_explicit(&reading, memory_order_relaxed) > 0) {
        sched_yield();
    }
    Py_XDECREF(last);

    struct timespec pause = {0, 20000};
    long before = atomic_load_explicit(&readings, memory_order_relaxed);
    for (int look = 0; look < PATIENCE; look++) {
        if (atomic_load_explicit(&readings, memory_order_relaxed) != before) {
            break;
        }
        nanosleep(&pause, NULL);
    }
    return 0;
}

static PyObject *
canary_step(PyObject *module, PyObject *unused)
{
    /* Every other thread replaces what the others read: who did both would order its own reading before. */
    if (!has_role) {
        is_replacing = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % 2;
        has_role = 1;
    }
    if (!is_replacing) {
        return PyLong_FromLong(canary_read());
    }
    if (atomic_fetch_add_explicit(&replaced, 1, memory_order_relaxed) < MOST && canary_replace() < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
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
