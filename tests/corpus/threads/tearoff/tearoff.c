#include <Python.h>
#include <stdatomic.h>

#define PAGES 366

typedef struct {
    PyObject_HEAD
    int year;
    atomic_int next;
    _Atomic(PyObject *) pages[PAGES];
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
        Py_XDECREF(atomic_load(&self->pages[day]));
    type->tp_free(self);
    Py_DECREF(type);
}

/* The page of a day, which is printed when it is first asked for; the calendar keeps it. */
static PyObject *
page_of(Calendar *self, int day)
{
    PyObject *page = atomic_load(&self->pages[day]);
    if (page != NULL)
        return page;

    PyObject *printed = PyUnicode_FromFormat("day %d of the year %d, and a saying for it", day + 1, self->year);
    if (printed == NULL)
        return NULL;
    if (atomic_compare_exchange_strong(&self->pages[day], &page, printed))
        return printed;
    Py_DECREF(printed);
    return page;
}

static PyObject *
Calendar_letters(Calendar *self, PyObject *unused)
{
    Py_ssize_t letters = 0;

    for (int day = atomic_load(&self->next); day < PAGES; day++) {
        PyObject *page = page_of(self, day);
        if (page == NULL)
            return NULL;
        const unsigned char *text = PyUnicode_DATA(page);
        for (Py_ssize_t i = 0; i < PyUnicode_GET_LENGTH(page); i++)
            letters += Py_ISALPHA(text[i]);
    }
    return PyLong_FromSsize_t(letters);
}

static PyObject *
Calendar_tear(Calendar *self, PyObject *unused)
{
    int day = atomic_fetch_add(&self->next, 1);
    if (day >= PAGES) {
        atomic_store(&self->next, PAGES);
        PyErr_SetString(PyExc_IndexError, "the year is over");
        return NULL;
    }
    Py_XDECREF(atomic_exchange(&self->pages[day], NULL));
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
