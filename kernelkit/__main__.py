"""`python -m kernelkit` is the same program as `kernelkit`."""

from __future__ import annotations

from kernelkit.cli.main import main

if __name__ == "__main__":
    main()
