"""What verifies a case file, with nothing but Python's standard library (3.9 or newer) and `cryptography`.

These modules are also written, one after another, into the single file `verify.py` of each case file. So they import
nothing else of this project, import each other by name only, and no name stands in two of them.
"""
