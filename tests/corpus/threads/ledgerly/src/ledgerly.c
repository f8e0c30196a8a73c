#include <Python.h>
#include <pthread.h>

#define HISTORY 64

typedef struct {
    PyObject_HEAD
    pthread_mutex_t mutex;
    long long balance;
    long long history[HISTORY];
    unsigned int entries;
} Account;

static PyTypeObject *Account_type;

static PyObject *
Account_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"opening", NULL};
    long long opening = 0;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|L:Account", names, &opening))
        return NULL;
    if (opening < 0) {
        PyErr_SetString(PyExc_ValueError, "an account cannot open with a debt");
        return NULL;
    }
    Account *self = (Account *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    pthread_mutex_init(&self->mutex, NULL);
    self->balance = opening;
    return (PyObject *)self;
}

static void
Account_dealloc(Account *self)
{
    PyTypeObject *type = Py_TYPE(self);
    pthread_mutex_destroy(&self->mutex);
    type->tp_free(self);
    Py_DECREF(type);
}

static void
book(Account *account, long long amount)
{
    if (account->entries == HISTORY) {
        memmove(account->history, account->history + 1, (HISTORY - 1) * sizeof(long long));
        account->entries--;
    }
    account->history[account->entries++] = amount;
    account->balance += amount;
}

static PyObject *
Account_deposit(Account *self, PyObject *arg)
{
    long long amount = PyLong_AsLongLong(arg);
    if (amount == -1 && PyErr_Occurred())
        return NULL;
    if (amount <= 0) {
        PyErr_SetString(PyExc_ValueError, "amount must be positive");
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(&self->mutex);
    book(self, amount);
    pthread_mutex_unlock(&self->mutex);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *
Account_transfer(Account *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"to", "amount", NULL};
    Account *to;
    long long amount;
    int enough;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!L:transfer", names, Account_type, &to, &amount))
        return NULL;
    if (amount <= 0 || to == self) {
        PyErr_SetString(PyExc_ValueError, to == self ? "both accounts are the same" : "amount must be positive");
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(&self->mutex);
    enough = self->balance >= amount;
    if (enough) {
        book(self, -amount);
        pthread_mutex_lock(&to->mutex);
        book(to, amount);
        pthread_mutex_unlock(&to->mutex);
    }
    pthread_mutex_unlock(&self->mutex);
    Py_END_ALLOW_THREADS
    return PyBool_FromLong(enough);
}

static PyObject *
Account_history(Account *self, PyObject *unused)
{
    long long copy[HISTORY];
    unsigned int entries;

    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(&self->mutex);
    entries = self->entries;
    memcpy(copy, self->history, sizeof(copy));
    pthread_mutex_unlock(&self->mutex);
    Py_END_ALLOW_THREADS
    PyObject *list = PyList_New(entries);
    for (unsigned int i = 0; list != NULL && i < entries; i++) {
        PyObject *number = PyLong_FromLongLong(copy[i]);
        if (number == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, number);
    }
    return list;
}

static PyObject *
Account_get_balance(Account *self, void *closure)
{
    long long balance;

    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(&self->mutex);
    balance = self->balance;
    pthread_mutex_unlock(&self->mutex);
    Py_END_ALLOW_THREADS
    return PyLong_FromLongLong(balance);
}

static PyMethodDef Account_methods[] = {
    {"deposit", (PyCFunction)Account_deposit, METH_O, "deposit(amount)"},
    {"transfer", (PyCFunction)(void (*)(void))Account_transfer, METH_VARARGS | METH_KEYWORDS,
     "transfer(to, amount)\n\nFalse if the balance is too low."},
    {"history", (PyCFunction)Account_history, METH_NOARGS, "history()\n\nThe last bookings."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef Account_getset[] = {
    {"balance", (getter)Account_get_balance, NULL, NULL, NULL},
    {NULL},
};

static PyType_Slot Account_slots[] = {
    {Py_tp_doc, "Account(opening=0)"},
    {Py_tp_new, Account_new},
    {Py_tp_dealloc, Account_dealloc},
    {Py_tp_methods, Account_methods},
    {Py_tp_getset, Account_getset},
    {0, NULL},
};

static PyType_Spec Account_spec = {
    .name = "ledgerly.Account", .basicsize = sizeof(Account), .flags = Py_TPFLAGS_DEFAULT, .slots = Account_slots,
};

static int
exec(PyObject *module)
{
    Account_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &Account_spec, NULL);
    return Account_type == NULL ? -1 : PyModule_AddType(module, Account_type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "ledgerly", .m_slots = slots};

PyMODINIT_FUNC
PyInit_ledgerly(void)
{
    return PyModuleDef_Init(&def);
}
