"""What a patch does to `requires-python`."""

from __future__ import annotations

import pytest
from packaging.version import Version

from builder.sources.python_caps import allows_python, lifts_cap

PYTHON = Version("3.14.5")


@pytest.mark.parametrize(
    ("patch", "is_lifted"),
    [
        ('-requires-python = ">=3.9,<3.14"\n+requires-python = ">=3.9"\n', True),
        ('-requires-python = ">=3.9,<3.14"\n+requires-python = ">=3.9,<3.13"\n', False),
        ("-    python_requires='>=3.9,<3.14',\n+    python_requires='>=3.9',\n", True),
        ("-python_requires = >=3.9,<3.14\n+python_requires = >=3.9\n", True),
        ("-Requires-Python: >=3.9,<3.14\n+Requires-Python: >=3.9\n", True),
        ('-requires-python = "<3.14"\n', True),
        ("+import os\n", False),
        (' requires-python = ">=3.9,<3.14"\n', False),
    ],
)
def test_the_patch_decides(patch: str, *, is_lifted: bool):
    assert lifts_cap([patch], PYTHON) is is_lifted


def test_without_a_patch_what_is_stated_counts():
    assert not lifts_cap([], PYTHON)
    assert not allows_python(">=3.9,<3.14", PYTHON)
    assert allows_python("not a specifier", PYTHON)
