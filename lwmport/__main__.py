"""``python -m lwmport``."""

from lwmport.cli import main

if __name__ == "__main__":
    main()
