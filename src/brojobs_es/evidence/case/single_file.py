"""Writes the verifier as one file that runs anywhere: the modules of the kernel behind each other, imports first."""

from __future__ import annotations

import ast
from functools import cache
from importlib.resources import files
from typing import Final

MODULES: Final = (
    "problems",
    "notes",
    "tree",
    "container",
    "manifests",
    "events",
    "words",
    "stamps",
    "checking",
    "command",
)
"""Each imports only those before it."""

_PACKAGE: Final = "brojobs_es.evidence.case.kernel"
_HEAD: Final = '''\
#!/usr/bin/env python3
"""Verifies a case file offline: python3 verify.py [case.zip] [--key KEY] [--checkpoint FILE] …

Needs Python 3.9 or newer and the package `cryptography`, no network. A file that somebody hands you can hold a verify.py
that says anything: where that matters, take this program from the service itself (`brojobs case verifier`).
"""

from __future__ import annotations

'''
_FOOT: Final = '\n\nif __name__ == "__main__":\n    sys.exit(main())\n'


@cache
def verifier_source() -> str:
    """The source of `verify.py`."""
    imports: set[str] = set()
    bodies = []
    for module in MODULES:
        source = (files(_PACKAGE) / f"{module}.py").read_text(encoding="utf-8")
        tree = ast.parse(source)
        statements = [each for each in tree.body if isinstance(each, ast.Import | ast.ImportFrom)]
        for each in statements:
            if isinstance(each, ast.Import) or not (each.module or "").startswith(("__future__", _PACKAGE)):
                imports.add(ast.unparse(each))
        last = max(each.end_lineno or 0 for each in statements)
        body = "\n".join(source.split("\n")[last:]).strip("\n")
        bodies.append(f"# -- {module}: {ast.get_docstring(tree, clean=True)}".split("\n", 1)[0] + "\n\n" + body)
    ordered = sorted(imports, key=lambda line: (line.startswith("from"), line))
    return _HEAD + "\n".join(ordered) + "\n\n" + "\n\n\n".join(bodies) + _FOOT
