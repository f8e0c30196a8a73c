"""`python -m builder` is the command `wheelfarm`."""

from builder.cli import main

main()
