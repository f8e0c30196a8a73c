"""`python -m builder` is the command `wheelfarm`."""

from builder.cli.main import main

main()
