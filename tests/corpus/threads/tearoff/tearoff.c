#include <Python.h>
#include <stdatomic.h>

#define PAGES 366
#define LENGTH 48

typedef struct {
    PyObject_HEAD
    int year;
    atomic_int printed;
    atomic_int next;
    _Atomic(char *) pages[PAGES];
} Calendar;

static int
Calendar_init(Calendar *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"year", NULL};
    int year = 2026;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|i:Calendar", names, &year))
        return -1;
    self->year = year;
    return 0;
}

static void
Calendar_dealloc(Calendar *self)
{
    PyTypeObject *type = Py_TYPE(self);
    for (int day = 0; day < PAGES; day++)
        PyMem_Free(atomic_load(&self->pages[day]));
    type->tp_free(self);
    Py_DECREF(type);
}

/* The pages are printed, all of them, when the calendar is first used. */
static int
print_pages(Calendar *self)
{
    for (int day = atomic_load_explicit(&self->printed, memory_order_acquire); day < PAGES; day++) {
        char *none = NULL;
        char *page = PyMem_Malloc(LENGTH);
        if (page == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        PyOS_snprintf(page, LENGTH, "%d of %d: a saying for the day", day + 1, self->year);
        if (!atomic_compare_exchange_strong(&self->pages[day], &none, page))
            PyMem_Free(page);
    }
    atomic_store_explicit(&self->printed, PAGES, memory_order_release);
    return 0;
}

static PyObject *
Calendar_letters(Calendar *self, PyObject *unused)
{
    Py_ssize_t letters = 0;

    if (print_pages(self) < 0)
        return NULL;
    for (int day = 0; day < PAGES; day++) {
        const char *page = atomic_load(&self->pages[day]);
        while (page != NULL && *page != 0)
            letters += Py_ISALPHA(*page++);
    }
    return PyLong_FromSsize_t(letters);
}

static PyObject *
Calendar_tear(Calendar *self, PyObject *unused)
{
    if (print_pages(self) < 0)
        return NULL;
    int day = atomic_fetch_add_explicit(&self->next, 1, memory_order_relaxed);
    if (day >= PAGES) {
        atomic_store_explicit(&self->next, PAGES, memory_order_relaxed);
        PyErr_SetString(PyExc_IndexError, "the year is over");
        return NULL;
    }
    PyMem_Free(atomic_exchange(&self->pages[day], NULL));
    return PyLong_FromLong(PAGES - day - 1);
}

static PyMethodDef Calendar_methods[] = {
    {"letters", (PyCFunction)Calendar_letters, METH_NOARGS, "letters($self, /)\n--\n\nLetters on the pages that are left."},
    {"tear", (PyCFunction)Calendar_tear, METH_NOARGS, "tear($self, /)\n--\n\nTear a page off; says how many are left."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Calendar_slots[] = {
    {Py_tp_doc, "Calendar(year=2026)\n--\n\nA tear-off calendar."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, Calendar_init},
    {Py_tp_dealloc, Calendar_dealloc},
    {Py_tp_methods, Calendar_methods},
    {0, NULL},
};

static PyType_Spec Calendar_spec = {
    .name = "tearoff.Calendar", .basicsize = sizeof(Calendar), .flags = Py_TPFLAGS_DEFAULT, .slots = Calendar_slots,
};

static int
exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Calendar_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Calendar", type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "tearoff", .m_slots = slots};

PyMODINIT_FUNC
PyInit_tearoff(void)
{
    return PyModuleDef_Init(&def);
}
