"""``python -m nasopt``."""

from nasopt.cli.main import main

if __name__ == "__main__":
    main()
