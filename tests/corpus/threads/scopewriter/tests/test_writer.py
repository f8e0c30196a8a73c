import io

import pytest
import scopewriter


def test_scopes():
    file = io.StringIO()
    writer = scopewriter.Writer(file, width=2)
    with writer.scope("outer"):
        writer.line("a")
        with writer.scope("inner"):
            assert writer.depth == 2
    assert file.getvalue() == "outer {\n  a\n  inner {\n  } # inner\n} # outer\n"


def test_exit_alone():
    with pytest.raises(RuntimeError):
        scopewriter.Writer(io.StringIO()).__exit__(None, None, None)
