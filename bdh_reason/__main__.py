"""`python -m bdh_reason` is the same program as `bdh-reason`."""

from bdh_reason.cli import main

if __name__ == "__main__":
    main()
