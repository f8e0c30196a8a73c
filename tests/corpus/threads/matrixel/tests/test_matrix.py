import pytest
from matrixel import Matrix


def test_cells():
    matrix = Matrix(2, 3)
    matrix[1, 2] = 5
    matrix += matrix
    assert matrix[1, 2] == 10.0
    matrix.transpose()
    assert matrix.shape == (3, 2)
    assert matrix[2, 1] == 10.0


def test_outside():
    with pytest.raises(IndexError):
        Matrix(2, 2)[2, 0]
    with pytest.raises(ValueError):
        Matrix(0, 1)
