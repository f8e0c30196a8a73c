#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>
#include <string.h>

#define SHADES 64

typedef struct {
    PyObject_HEAD
    unsigned char *shades;
} Palette;

static unsigned char *
mix_shades(int seed)
{
    unsigned char *shades = malloc(SHADES);
    for (int i = 0; shades != NULL && i < SHADES; i++)
        shades[i] = (unsigned char)(i * 7 + seed);
    return shades;
}

static PyObject *
Palette_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    int seed = 0;
    if (!PyArg_ParseTuple(args, "|i:Palette", &seed))
        return NULL;
    Palette *self = (Palette *)type->tp_alloc(type, 0);
    if (self != NULL)
        self->shades = mix_shades(seed);
    return (PyObject *)self;
}

static void
Palette_dealloc(Palette *self)
{
    PyTypeObject *type = Py_TYPE(self);
    free(self->shades);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
Palette_remix(Palette *self, PyObject *argument)
{
    int seed = PyLong_AsInt(argument);
    if (seed == -1 && PyErr_Occurred())
        return NULL;
    unsigned char *shades = mix_shades(seed);
    unsigned char *old;
    Py_BEGIN_CRITICAL_SECTION(self);
    old = self->shades;
    self->shades = shades;
    Py_END_CRITICAL_SECTION();
    free(old);
    Py_RETURN_NONE;
}

static PyMethodDef Palette_methods[] = {
    {"remix", (PyCFunction)Palette_remix, METH_O, "remix(seed: int) -> None"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Palette_slots[] = {
    {Py_tp_new, Palette_new},
    {Py_tp_dealloc, Palette_dealloc},
    {Py_tp_methods, Palette_methods},
    {0, NULL},
};

static PyType_Spec Palette_spec = {
    .name = "inkpress.Palette",
    .basicsize = sizeof(Palette),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Palette_slots,
};

typedef struct {
    PyObject_HEAD
    Palette *palette;
    Py_ssize_t printed;
} Press;

static PyTypeObject *palette_type;

static PyObject *
Press_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *palette;
    if (!PyArg_ParseTuple(args, "O!:Press", palette_type, &palette))
        return NULL;
    Press *self = (Press *)type->tp_alloc(type, 0);
    if (self != NULL)
        self->palette = (Palette *)Py_NewRef(palette);
    return (PyObject *)self;
}

static void
Press_dealloc(Press *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(self->palette);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
print_locked(Press *self, const char *text, Py_ssize_t size)
{
    const unsigned char *shades = self->palette->shades;
    unsigned long sum = 0;
    for (Py_ssize_t i = 0; i < size; i++)
        sum += shades[(unsigned char)text[i] % SHADES];
    self->printed++;
    return PyLong_FromUnsignedLong(sum);
}

static PyObject *
Press_print(Press *self, PyObject *text)
{
    Py_ssize_t size;
    const char *content = PyUnicode_AsUTF8AndSize(text, &size);
    if (content == NULL)
        return NULL;
    PyObject *result;
    Py_BEGIN_CRITICAL_SECTION(self);
    result = print_locked(self, content, size);
    Py_END_CRITICAL_SECTION();
    return result;
}

static PyObject *
Press_get_printed(Press *self, void *ignored)
{
    Py_ssize_t printed;
    Py_BEGIN_CRITICAL_SECTION(self);
    printed = self->printed;
    Py_END_CRITICAL_SECTION();
    return PyLong_FromSsize_t(printed);
}

static PyMethodDef Press_methods[] = {
    {"print", (PyCFunction)Press_print, METH_O, "print(text: str) -> int"},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef Press_getset[] = {
    {"printed", (getter)Press_get_printed, NULL, "how many texts", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot Press_slots[] = {
    {Py_tp_new, Press_new},
    {Py_tp_dealloc, Press_dealloc},
    {Py_tp_methods, Press_methods},
    {Py_tp_getset, Press_getset},
    {0, NULL},
};

static PyType_Spec Press_spec = {
    .name = "inkpress.Press",
    .basicsize = sizeof(Press),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Press_slots,
};

static int
inkpress_exec(PyObject *module)
{
    palette_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &Palette_spec, NULL);
    if (palette_type == NULL || PyModule_AddObjectRef(module, "Palette", (PyObject *)palette_type) < 0)
        return -1;
    PyObject *type = PyType_FromModuleAndSpec(module, &Press_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Press", type);
}

static PyModuleDef_Slot inkpress_slots[] = {
    {Py_mod_exec, inkpress_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef inkpress = {PyModuleDef_HEAD_INIT, .m_name = "inkpress", .m_slots = inkpress_slots};

PyMODINIT_FUNC
PyInit_inkpress(void)
{
    return PyModuleDef_Init(&inkpress);
}
