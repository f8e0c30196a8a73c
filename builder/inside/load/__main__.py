"""Usage: see load.py."""

from .load import main

if __name__ == "__main__":
    main()
