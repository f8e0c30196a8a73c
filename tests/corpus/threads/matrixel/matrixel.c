#include <Python.h>
#include <stdlib.h>

typedef struct {
    PyObject_HEAD
    double *cells;
    int rows;
    int columns;
} Matrix;

static PyTypeObject *Matrix_type;

static PyObject *
Matrix_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"rows", "columns", NULL};
    int rows, columns;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ii:Matrix", names, &rows, &columns))
        return NULL;
    if (rows < 1 || columns < 1 || rows > 1024 || columns > 1024) {
        PyErr_SetString(PyExc_ValueError, "rows and columns must be between 1 and 1024");
        return NULL;
    }
    Matrix *self = (Matrix *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->cells = calloc((size_t)rows * columns, sizeof(double));
    if (self->cells == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    self->rows = rows;
    self->columns = columns;
    return (PyObject *)self;
}

static void
Matrix_dealloc(Matrix *self)
{
    PyTypeObject *type = Py_TYPE(self);
    free(self->cells);
    type->tp_free(self);
    Py_DECREF(type);
}

static double *
cell(Matrix *self, PyObject *key)
{
    int row, column;
    if (!PyTuple_Check(key)) {
        PyErr_SetString(PyExc_TypeError, "an index is a pair: matrix[row, column]");
        return NULL;
    }
    if (!PyArg_ParseTuple(key, "ii", &row, &column))
        return NULL;
    if (row < 0 || column < 0 || row >= self->rows || column >= self->columns) {
        PyErr_SetString(PyExc_IndexError, "outside of the matrix");
        return NULL;
    }
    return self->cells + (size_t)row * self->columns + column;
}

static PyObject *
Matrix_subscript(Matrix *self, PyObject *key)
{
    double value = 0;
    double *at;
    Py_BEGIN_CRITICAL_SECTION(self);
    at = cell(self, key);
    if (at != NULL)
        value = *at;
    Py_END_CRITICAL_SECTION();
    return at == NULL ? NULL : PyFloat_FromDouble(value);
}

static int
Matrix_assign(Matrix *self, PyObject *key, PyObject *value)
{
    double number = value == NULL ? 0 : PyFloat_AsDouble(value);
    double *at;
    if (number == -1.0 && PyErr_Occurred())
        return -1;
    Py_BEGIN_CRITICAL_SECTION(self);
    at = cell(self, key);
    if (at != NULL)
        *at = number;
    Py_END_CRITICAL_SECTION();
    return at == NULL ? -1 : 0;
}

static PyObject *
Matrix_inplace_add(PyObject *left, PyObject *right)
{
    int same;
    if (!Py_IS_TYPE(left, Matrix_type) || !Py_IS_TYPE(right, Matrix_type))
        Py_RETURN_NOTIMPLEMENTED;
    Matrix *a = (Matrix *)left, *b = (Matrix *)right;
    Py_BEGIN_CRITICAL_SECTION2(left, right);
    same = a->rows == b->rows && a->columns == b->columns;
    if (same) {
        size_t count = (size_t)a->rows * a->columns;
        for (size_t i = 0; i < count; i++)
            a->cells[i] += b->cells[i];
    }
    Py_END_CRITICAL_SECTION2();
    if (!same) {
        PyErr_SetString(PyExc_ValueError, "the matrices differ in shape");
        return NULL;
    }
    return Py_NewRef(left);
}

static PyObject *
Matrix_transpose(Matrix *self, PyObject *unused)
{
    int failed = 0;
    Py_BEGIN_CRITICAL_SECTION(self);
    double *cells = malloc(sizeof(double) * self->rows * self->columns);
    failed = cells == NULL;
    if (!failed) {
        for (int row = 0; row < self->rows; row++)
            for (int column = 0; column < self->columns; column++)
                cells[(size_t)column * self->rows + row] = self->cells[(size_t)row * self->columns + column];
        free(self->cells);
        self->cells = cells;
        int rows = self->rows;
        self->rows = self->columns;
        self->columns = rows;
    }
    Py_END_CRITICAL_SECTION();
    if (failed)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *
Matrix_get_shape(Matrix *self, void *closure)
{
    int rows, columns;
    Py_BEGIN_CRITICAL_SECTION(self);
    rows = self->rows;
    columns = self->columns;
    Py_END_CRITICAL_SECTION();
    return Py_BuildValue("ii", rows, columns);
}

static PyMethodDef Matrix_methods[] = {
    {"transpose", (PyCFunction)Matrix_transpose, METH_NOARGS, "transpose()\n--\n\nExchange rows and columns in place."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef Matrix_getset[] = {{"shape", (getter)Matrix_get_shape, NULL, "(rows, columns)", NULL}, {NULL}};

static PyType_Slot Matrix_slots[] = {
    {Py_tp_doc, "Matrix(rows, columns)\n--\n\nZeros at first."},
    {Py_tp_new, Matrix_new},
    {Py_tp_dealloc, Matrix_dealloc},
    {Py_tp_methods, Matrix_methods},
    {Py_tp_getset, Matrix_getset},
    {Py_mp_subscript, Matrix_subscript},
    {Py_mp_ass_subscript, Matrix_assign},
    {Py_nb_inplace_add, Matrix_inplace_add},
    {0, NULL},
};

static PyType_Spec Matrix_spec = {
    .name = "matrixel.Matrix", .basicsize = sizeof(Matrix), .flags = Py_TPFLAGS_DEFAULT, .slots = Matrix_slots,
};

static int
exec(PyObject *module)
{
    Matrix_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &Matrix_spec, NULL);
    return Matrix_type == NULL ? -1 : PyModule_AddType(module, Matrix_type);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "matrixel", .m_slots = slots};

PyMODINIT_FUNC
PyInit_matrixel(void)
{
    return PyModuleDef_Init(&def);
}
