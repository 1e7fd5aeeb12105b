"""Notebooks as tasks: `define.py` makes one of a file, `run.py` executes it in a worker."""
