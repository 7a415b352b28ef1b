"""``python -m hypercode`` is ``hypercode``."""

from hypercode.cli.__main__ import main

if __name__ == "__main__":
    main()
