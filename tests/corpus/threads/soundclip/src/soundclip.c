#include <Python.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct {
    PyObject_HEAD
    int16_t *samples;
    Py_ssize_t count;
    int rate;
} Clip;

static PyObject *
Clip_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"rate", NULL};
    int rate = 44100;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|i:Clip", names, &rate))
        return NULL;
    if (rate != 8000 && rate != 22050 && rate != 44100 && rate != 48000) {
        PyErr_SetString(PyExc_ValueError, "rate must be 8000, 22050, 44100 or 48000");
        return NULL;
    }
    Clip *self = (Clip *)type->tp_alloc(type, 0);
    if (self != NULL)
        self->rate = rate;
    return (PyObject *)self;
}

static void
Clip_dealloc(Clip *self)
{
    PyTypeObject *type = Py_TYPE(self);
    free(self->samples);
    type->tp_free(self);
    Py_DECREF(type);
}

static int
set_count(Clip *self, Py_ssize_t count)
{
    int16_t *samples = realloc(self->samples, (count ? count : 1) * sizeof(int16_t));
    if (samples == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = self->count; i < count; i++)
        samples[i] = 0;
    self->samples = samples;
    self->count = count;
    return 0;
}

static PyObject *
Clip_silence(Clip *self, PyObject *arg)
{
    double seconds = PyFloat_AsDouble(arg);
    if (seconds == -1.0 && PyErr_Occurred())
        return NULL;
    if (!(seconds >= 0 && seconds <= 60)) {
        PyErr_SetString(PyExc_ValueError, "seconds must be between 0 and 60");
        return NULL;
    }
    if (set_count(self, self->count + (Py_ssize_t)(seconds * self->rate)) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
Clip_trim(Clip *self, PyObject *arg)
{
    Py_ssize_t count = PyLong_AsSsize_t(arg);
    if (count == -1 && PyErr_Occurred())
        return NULL;
    if (count < 0) {
        PyErr_SetString(PyExc_ValueError, "count cannot be negative");
        return NULL;
    }
    if (count < self->count && set_count(self, count) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
Clip_subscript(Clip *self, PyObject *key)
{
    Py_ssize_t start, stop, step;

    if (PyIndex_Check(key)) {
        Py_ssize_t at = PyNumber_AsSsize_t(key, PyExc_IndexError);
        if (at == -1 && PyErr_Occurred())
            return NULL;
        at += at < 0 ? self->count : 0;
        if (at < 0 || at >= self->count) {
            PyErr_SetString(PyExc_IndexError, "no such sample");
            return NULL;
        }
        return PyLong_FromLong(self->samples[at]);
    }
    if (!PySlice_Check(key)) {
        PyErr_SetString(PyExc_TypeError, "an index is an int or a slice");
        return NULL;
    }
    if (PySlice_Unpack(key, &start, &stop, &step) < 0)
        return NULL;
    Py_ssize_t length = PySlice_AdjustIndices(self->count, &start, &stop, step);
    PyObject *list = PyList_New(length);
    for (Py_ssize_t i = 0; list != NULL && i < length; i++) {
        PyObject *sample = PyLong_FromLong(self->samples[start + i * step]);
        if (sample == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, sample);
    }
    return list;
}

static int
Clip_assign(Clip *self, PyObject *key, PyObject *value)
{
    if (value == NULL) {
        PyErr_SetString(PyExc_TypeError, "samples cannot be deleted: use trim()");
        return -1;
    }
    Py_ssize_t at = PyNumber_AsSsize_t(key, PyExc_IndexError);
    if (at == -1 && PyErr_Occurred())
        return -1;
    long sample = PyLong_AsLong(value);
    if (sample == -1 && PyErr_Occurred())
        return -1;
    if (sample < INT16_MIN || sample > INT16_MAX) {
        PyErr_SetString(PyExc_ValueError, "a sample has 16 bits");
        return -1;
    }
    if (at < 0 || at >= self->count) {
        PyErr_SetString(PyExc_IndexError, "no such sample");
        return -1;
    }
    self->samples[at] = (int16_t)sample;
    return 0;
}

static Py_ssize_t
Clip_length(Clip *self)
{
    return self->count;
}

static PyMethodDef Clip_methods[] = {
    {"silence", (PyCFunction)Clip_silence, METH_O, "silence(seconds, /)\n--\n\nAppend zeros."},
    {"trim", (PyCFunction)Clip_trim, METH_O, "trim(count, /)\n--\n\nKeep at most count samples."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Clip_slots[] = {
    {Py_tp_doc, "Clip(rate=44100)\n--\n\nSamples of 16 bits; slices are lists."},
    {Py_tp_new, Clip_new},
    {Py_tp_dealloc, Clip_dealloc},
    {Py_tp_methods, Clip_methods},
    {Py_mp_length, Clip_length},
    {Py_mp_subscript, Clip_subscript},
    {Py_mp_ass_subscript, Clip_assign},
    {0, NULL},
};

static PyType_Spec Clip_spec = {
    .name = "soundclip.Clip", .basicsize = sizeof(Clip), .flags = Py_TPFLAGS_DEFAULT, .slots = Clip_slots,
};

static int
exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Clip_spec, NULL);
    return type == NULL ? -1 : PyModule_Add(module, "Clip", type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "soundclip", .m_slots = slots};

PyMODINIT_FUNC
PyInit_soundclip(void)
{
    return PyModuleDef_Init(&def);
}
