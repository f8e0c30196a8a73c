#include <Python.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

namespace {

constexpr unsigned int limit = 1000000;

std::once_flag sieved;
std::vector<unsigned int> primes;

void sieve()
{
    std::vector<bool> composite(limit);
    for (unsigned int n = 2; n < limit; n++) {
        if (composite[n])
            continue;
        primes.push_back(n);
        for (unsigned long long multiple = 1ULL * n * n; multiple < limit; multiple += n)
            composite[multiple] = true;
    }
}

const std::vector<unsigned int> &all()
{
    std::call_once(sieved, sieve);
    return primes;
}

/* The smallest factors of small numbers, built when first wanted. */
const std::vector<unsigned short> &smallest_factors()
{
    static const std::vector<unsigned short> table = [] {
        std::vector<unsigned short> factors(10000);
        for (unsigned int n = 2; n < factors.size(); n++) {
            unsigned int factor = 2;
            while (factor * factor <= n && n % factor != 0)
                factor++;
            factors[n] = static_cast<unsigned short>(factor * factor <= n ? factor : n);
        }
        return factors;
    }();
    return table;
}

bool number(PyObject *arg, unsigned long *value)
{
    *value = PyLong_AsUnsignedLong(arg);
    if (*value == static_cast<unsigned long>(-1) && PyErr_Occurred())
        return false;
    if (*value >= limit) {
        PyErr_Format(PyExc_ValueError, "only numbers below %u are known", limit);
        return false;
    }
    return true;
}

PyObject *is_prime(PyObject *, PyObject *arg)
{
    unsigned long value;
    if (!number(arg, &value))
        return nullptr;
    return PyBool_FromLong(std::binary_search(all().begin(), all().end(), value));
}

PyObject *nth(PyObject *, PyObject *arg)
{
    unsigned long n;
    if (!number(arg, &n))
        return nullptr;
    if (n < 1 || n > all().size()) {
        PyErr_SetString(PyExc_IndexError, "there is no such prime here");
        return nullptr;
    }
    return PyLong_FromUnsignedLong(all()[n - 1]);
}

PyObject *smallest_factor(PyObject *, PyObject *arg)
{
    unsigned long value;
    if (!number(arg, &value))
        return nullptr;
    if (value < 2 || value >= smallest_factors().size()) {
        PyErr_SetString(PyExc_ValueError, "the number must be between 2 and 9999");
        return nullptr;
    }
    return PyLong_FromLong(smallest_factors()[value]);
}

PyMethodDef methods[] = {
    {"is_prime", is_prime, METH_O, "is_prime(n: int) -> bool"},
    {"nth", nth, METH_O, "nth(n: int) -> int\n\nThe n-th prime; the first is 2."},
    {"smallest_factor", smallest_factor, METH_O, "smallest_factor(n: int) -> int"},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, nullptr}};

PyModuleDef def = {PyModuleDef_HEAD_INIT, "primewheel", nullptr, 0, methods, slots, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit_primewheel()
{
    return PyModuleDef_Init(&def);
}
