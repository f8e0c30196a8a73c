#include <Python.h>

#include <cstdio>
#include <ctime>
#include <string>

static bool seconds(PyObject *arg, std::time_t *value)
{
    long long number = PyLong_AsLongLong(arg);
    if (number == -1 && PyErr_Occurred())
        return false;
    if (number < 0 || number > 253402300799LL) {
        PyErr_SetString(PyExc_ValueError, "the time must lie between the years 1970 and 9999");
        return false;
    }
    *value = static_cast<std::time_t>(number);
    return true;
}

static PyObject *stamp(PyObject *, PyObject *arg)
{
    std::time_t when;
    char text[48];

    if (!seconds(arg, &when))
        return nullptr;
    const std::tm *parts = std::gmtime(&when);
    std::snprintf(text, sizeof(text), "%04d-%02d-%02d %02d:%02d:%02dZ", parts->tm_year + 1900, parts->tm_mon + 1,
                  parts->tm_mday, parts->tm_hour, parts->tm_min, parts->tm_sec);
    return PyUnicode_FromString(text);
}

static PyObject *weekday(PyObject *, PyObject *arg)
{
    static const char *const days[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
    std::time_t when;

    if (!seconds(arg, &when))
        return nullptr;
    return PyUnicode_FromString(days[(when / 86400) % 7]);
}

static PyObject *between(PyObject *, PyObject *args)
{
    long long first, last;

    if (!PyArg_ParseTuple(args, "LL:between", &first, &last))
        return nullptr;
    std::string sign = first > last ? "-" : "";
    long long size = first > last ? first - last : last - first;
    return PyUnicode_FromFormat("%s%lldd %lldh %lldm", sign.c_str(), size / 86400, size / 3600 % 24, size / 60 % 60);
}

static PyMethodDef methods[] = {
    {"stamp", stamp, METH_O, "stamp(seconds, /)\n--\n\nDate and time in UTC."},
    {"weekday", weekday, METH_O, "weekday(seconds, /)\n--\n\nThe day of the week in UTC."},
    {"between", between, METH_VARARGS, "between(first, last, /)\n--\n\nTime between two times."},
    {nullptr, nullptr, 0, nullptr},
};

static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, nullptr}};

static PyModuleDef def = {PyModuleDef_HEAD_INIT, "stampclock", nullptr, 0, methods, slots, nullptr, nullptr, nullptr};

PyMODINIT_FUNC PyInit_stampclock(void)
{
    return PyModuleDef_Init(&def);
}
