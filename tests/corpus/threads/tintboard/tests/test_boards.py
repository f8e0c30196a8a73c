import pytest
import tintboard

FILE = bytes.fromhex("54494e54") + bytes.fromhex("b63cfbcd") + bytes([1, 2, 3, 4])


@pytest.fixture
def board():
    return tintboard.read(FILE)


def test_a_board_is_read_and_written(board):
    assert board.total() == 10
    assert board.write() == FILE


def test_a_larger_board_has_no_tint_where_it_is_new(board):
    board.resize(8, 8)
    assert board.total() == 10
    board.fill(2)
    assert board.total() == 128


def test_a_smaller_board_has_what_is_left(board):
    board.fill(7)
    board.resize(1, 2)
    assert board.total() == 14


def test_a_damaged_file_is_refused():
    with pytest.raises(ValueError, match="no file"):
        tintboard.read(FILE[:-1])
