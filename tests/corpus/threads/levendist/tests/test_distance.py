import levendist


def test_short():
    assert levendist.edits("kitten", "sitting") == 3
    assert levendist.edits(b"", b"abc") == 3
    assert levendist.similarity("", "") == 1.0
    assert levendist.similarity("ab", "cd") == 0.0


def test_long():
    assert levendist.edits("x" * 500, "x" * 490 + "y" * 20) == 20
