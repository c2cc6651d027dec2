"""The project's habits as checks of its source: no clock below the edge, no float in money, everything pinned."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import brojobs_es.aggregates.dispute
import brojobs_es.aggregates.order  # noqa: F401  both streams' events are registered by importing them
from brojobs_es.aggregates.base import EVENTS, Event
from brojobs_es.language import CODES

ROOT: Final = Path(__file__).parents[1]
SRC: Final = ROOT / "src" / "brojobs_es"
PURE: Final = [
    *sorted((SRC / "aggregates").rglob("*.py")), *sorted((SRC / "policies").rglob("*.py")),
    *sorted((SRC / "projections").rglob("*.py")), SRC / "case.py", SRC / "money.py", SRC / "ids.py", SRC / "terms.py",
]  # fmt: skip
POLICY_FILES: Final = [path for path in sorted((SRC / "policies").glob("*.py")) if path.name != "__init__.py"]
TESTS: Final = sorted((ROOT / "tests").rglob("test_*.py"))

LINES_MAX: Final = 400
FUNCTION_LINES_MAX: Final = 50
LONG_FUNCTIONS: Final = {"api/disputes.py: disputes": "routes are closures over what their application gives them"}
LONG_FILES: Final = {
    "aggregates/order_events.py": "the storage format of one stream, in one place",
    "aggregates/order.py": "the memory of one stream, in one place",
    "api/schemas.py": "the shapes of all answers, in one place",
}

IMPURE_CALLS: Final = {"now", "utcnow", "today", "uuid4", "uuid1", "urandom", "token_hex", "time", "monotonic", "sleep"}
IMPURE_NAMES: Final = {"open", "input", "print", "exec", "eval"}
IMPURE_MODULES: Final = {
    "random",
    "secrets",
    "requests",
    "httpx",
    "socket",
    "os",
    "time",
    "subprocess",
    "asyncio",
    "psycopg",
}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PURE, ids=named)
def test_what_decides_and_folds_is_pure(path: Path) -> None:
    """No clock, no chance, no input or output: `now` is an argument and ids are derived."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                assert node.func.attr not in IMPURE_CALLS, ast.unparse(node)
            elif isinstance(node.func, ast.Name):
                assert node.func.id not in IMPURE_NAMES | {"uuid4", "uuid1"}, ast.unparse(node)
        elif isinstance(node, ast.Import):
            assert not {alias.name.partition(".")[0] for alias in node.names} & IMPURE_MODULES, ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in IMPURE_MODULES, ast.unparse(node)


@pytest.mark.parametrize("name", ["money.py", "aggregates/endings.py", "aggregates/commands/settling.py"])
def test_there_is_no_float_in_money(name: str) -> None:
    """Neither a literal with a point, nor a true division, nor a conversion or a rounding."""
    for node in ast.walk(tree(SRC / name)):
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), ast.unparse(node)
        assert not (isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)), ast.unparse(node)
        assert not (isinstance(node, ast.Name) and node.id in {"float", "round"}), ast.unparse(node)


def every_event() -> Iterator[type[Event]]:
    waiting = list(Event.__subclasses__())
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith("brojobs_es.") and "Base" not in kind.__name__ and not kind.__subclasses__():
            yield kind


KINDS: Final = {kind.__name__: kind for kind in every_event()}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_event_is_pinned_and_frozen(name: str) -> None:
    """Its stored name does not follow the code, it has a whole version, and nobody changes it once made."""
    kind = KINDS[name]
    assert "TOPIC" in vars(kind)
    assert EVENTS[kind.TOPIC] is kind
    assert kind.TOPIC.partition(":")[2] == kind.__name__
    assert kind.TOPIC.partition(":")[0] in {"order", "dispute"}
    assert isinstance(kind.class_version, int)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert all(field.type is not None for field in dataclasses.fields(kind))


def test_topics_are_unique_and_enough() -> None:
    """No two events share a stored name."""
    kinds = set(every_event())
    assert len({kind.TOPIC for kind in kinds}) == len(kinds) == len(EVENTS)
    assert len(kinds) >= 50


def strings(node: ast.expr) -> Iterator[str]:
    """The texts that an expression can have the value of."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from strings(node.body)
        yield from strings(node.orelse)


def refused_codes() -> dict[str, str]:
    """Every code that the source refuses with, and where."""
    found: dict[str, str] = {}
    for path in sorted(SRC.rglob("*.py")):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"Refusal", "coded"}:
                for code in strings(node.args[0]) if node.args else ():
                    found[code] = f"{named(path)}:{node.lineno}"
    return found


def test_every_code_is_explained() -> None:
    """Whatever the source refuses with has its texts in both languages."""
    codes = refused_codes()
    assert len(codes) > 40
    assert {code: where for code, where in codes.items() if code not in CODES} == {}


@pytest.mark.parametrize("path", POLICY_FILES, ids=named)
def test_a_policy_is_one_function_named_as_its_file(path: Path) -> None:
    """One business sentence a file, said in its docstring."""
    module = tree(path)
    functions = [node.name for node in module.body if isinstance(node, ast.FunctionDef)]
    assert functions == [path.stem]
    assert (ast.get_docstring(module) or "").count("\n") == 0
    assert (ast.get_docstring(module) or "").endswith(".")


def test_every_policy_file_is_in_force() -> None:
    """A policy that nobody lists would never be asked."""
    from brojobs_es.policies import POLICIES

    assert {policy.__name__ for policy in POLICIES} == {path.stem for path in POLICY_FILES}
    assert len(POLICIES) == len(POLICY_FILES)


def test_files_stay_readable() -> None:
    """At most 400 lines, but for the listed ones, and the list names no others."""
    lengths = {str(path.relative_to(SRC)): path.read_text(encoding="utf-8").count("\n") for path in SRC.rglob("*.py")}
    assert {name for name, lines in lengths.items() if lines > LINES_MAX} == LONG_FILES.keys()


def test_functions_stay_readable() -> None:
    """At most 50 lines each, but for the listed ones, and the list names no others."""
    long = {
        f"{path.relative_to(SRC)}: {node.name}"
        for path in sorted(SRC.rglob("*.py"))
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > FUNCTION_LINES_MAX
    }
    assert long == LONG_FUNCTIONS.keys()


@pytest.mark.parametrize("path", TESTS, ids=named)
def test_every_test_says_what_it_shows(path: Path) -> None:
    """In a docstring of its own."""
    silent = [
        node.name
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_no_mocks() -> None:
    """Neither of our database nor of anything else."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(tree(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            assert not any("mock" in name.lower() for name in (*names, module)), named(path)
