"""``python -m workbench``: see `workbench.cli.app`."""

from workbench.cli.app import main

if __name__ == "__main__":
    main()
