"""`python -m openbooking`: the same as the console script."""

from openbooking.cli.main import main

if __name__ == "__main__":
    main()
