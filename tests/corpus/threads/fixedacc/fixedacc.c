/* Sums in base 10**9: `total += n` changes the accumulator in place. */
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>

#define BASE 1000000000u

typedef struct {
    PyObject_HEAD
    uint32_t *limbs;
    Py_ssize_t used;
    Py_ssize_t room;
} Accumulator;

static PyTypeObject *Accumulator_type;

static int
add_at(Accumulator *self, Py_ssize_t at, uint64_t amount)
{
    while (amount > 0) {
        if (at >= self->room) {
            uint32_t *limbs = realloc(self->limbs, 2 * self->room * sizeof(uint32_t));
            if (limbs == NULL) {
                PyErr_NoMemory();
                return -1;
            }
            self->limbs = limbs;
            self->room *= 2;
        }
        while (self->used <= at)
            self->limbs[self->used++] = 0;
        uint64_t sum = self->limbs[at] + amount % BASE;
        amount /= BASE;
        if (sum >= BASE) {
            sum -= BASE;
            amount++;
        }
        self->limbs[at++] = (uint32_t)sum;
    }
    return 0;
}

static PyObject *
accumulator_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"start", NULL};
    unsigned long long start = 0;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|K:Accumulator", names, &start))
        return NULL;
    Accumulator *self = (Accumulator *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->room = 1;
    self->limbs = calloc(1, sizeof(uint32_t));
    if (self->limbs == NULL || add_at(self, 0, start) < 0) {
        Py_DECREF(self);
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void
accumulator_dealloc(Accumulator *self)
{
    PyTypeObject *type = Py_TYPE(self);
    free(self->limbs);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
accumulator_inplace_add(PyObject *left, PyObject *right)
{
    if (!Py_IS_TYPE(left, Accumulator_type) || !PyLong_Check(right))
        Py_RETURN_NOTIMPLEMENTED;
    unsigned long long amount = PyLong_AsUnsignedLongLong(right);
    if (amount == (unsigned long long)-1 && PyErr_Occurred())
        return NULL;
    if (add_at((Accumulator *)left, 0, amount) < 0)
        return NULL;
    return Py_NewRef(left);
}

static PyObject *
accumulator_str(Accumulator *self)
{
    char *text = malloc(9 * self->used + 2);
    if (text == NULL)
        return PyErr_NoMemory();
    int length = sprintf(text, "%u", self->used == 0 ? 0 : self->limbs[self->used - 1]);
    for (Py_ssize_t i = self->used - 2; i >= 0; i--)
        length += sprintf(text + length, "%09u", self->limbs[i]);
    PyObject *result = PyUnicode_FromStringAndSize(text, length);
    free(text);
    return result;
}

static PyObject *
accumulator_int(Accumulator *self)
{
    PyObject *text = accumulator_str(self);
    if (text == NULL)
        return NULL;
    PyObject *number = PyLong_FromUnicodeObject(text, 10);
    Py_DECREF(text);
    return number;
}

static int
accumulator_bool(Accumulator *self)
{
    for (Py_ssize_t i = 0; i < self->used; i++)
        if (self->limbs[i] != 0)
            return 1;
    return 0;
}

static PyType_Slot type_slots[] = {
    {Py_tp_doc, "Accumulator(start=0)\n--\n\nA sum that grows: `total += 5`, then int(total) or str(total)."},
    {Py_tp_new, accumulator_new},
    {Py_tp_dealloc, accumulator_dealloc},
    {Py_tp_str, accumulator_str},
    {Py_nb_inplace_add, accumulator_inplace_add},
    {Py_nb_int, accumulator_int},
    {Py_nb_bool, accumulator_bool},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "fixedacc.Accumulator", .basicsize = sizeof(Accumulator), .flags = Py_TPFLAGS_DEFAULT, .slots = type_slots,
};

static int
exec(PyObject *module)
{
    Accumulator_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return Accumulator_type == NULL ? -1 : PyModule_AddType(module, Accumulator_type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "fixedacc", .m_slots = slots};

PyMODINIT_FUNC
PyInit_fixedacc(void)
{
    return PyModuleDef_Init(&def);
}
