"""Usage: see audit.py."""

from .audit import main

if __name__ == "__main__":
    main()
