"""Usage: see application.py."""

from .application import main

if __name__ == "__main__":
    main()
