import pegboard


def test_a_peg_is_put_in_once():
    board = pegboard.Pegboard([3, 5])
    assert board.put(3) == 2
    assert board.put(8) == 3


def test_a_peg_that_was_pulled_is_gone():
    board = pegboard.Pegboard(range(20))
    assert board.pull(7)
    assert not board.pull(7)
    assert board.count() == 19
