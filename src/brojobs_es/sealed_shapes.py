"""The shapes of fields whose words are sealed, as they are stored: for whoever writes events, and for whoever folds them
without keys.

Each type that holds words has a twin that holds them sealed, a function that makes the type's own value of it with empty
texts, and one that seals the words of a value. Nobody has to look for words in a text that is already written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import cache, lru_cache
from types import NoneType
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

import msgspec

from brojobs_es.aggregates.base import Words

_PEOPLE_KEPT: Final = 4096
_values_of: Final = msgspec.structs.astuple

Unopened = Callable[[Any], Any]
"""From a decoded twin to the value that the event holds, all texts in it empty."""

Seal = Callable[[Words], msgspec.Raw]
"""Words as they are stored."""

Sealing = Callable[[Any, Seal], Any]
"""From a value that the event holds to what is stored of it, all words in it sealed."""


class _SealedWords(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    commitment: str
    key: Annotated[int, msgspec.Meta(ge=0)]
    of: str
    sealed: str


@lru_cache(_PEOPLE_KEPT)
def _without_text(of: str) -> Words:
    return Words(of, "")


def _words(sealed: _SealedWords) -> Words:
    return _without_text(sealed.of)


@cache
def twin_of(kind: Any) -> tuple[Any, Unopened | None]:
    """The type to decode sealed words of this type as, and what makes the type's own value of it; None for no words."""
    if kind is Words:
        return _SealedWords, _words
    if is_dataclass(kind):
        return _twin_of_class(kind)
    parts = get_args(kind)
    if get_origin(kind) is tuple and len(parts) == 2 and parts[1] is ...:
        twin, unopened = twin_of(parts[0])
        return (tuple[twin, ...], _each(unopened)) if unopened is not None else (kind, None)  # type: ignore[valid-type]
    if len(parts) == 2 and parts[1] is NoneType:
        twin, unopened = twin_of(parts[0])
        return (twin | None, _if_there(unopened)) if unopened is not None else (kind, None)
    return kind, None


def _twin_of_class(kind: Any) -> tuple[Any, Unopened | None]:
    hints, own = get_type_hints(kind), fields(kind)
    twins = [twin_of(hints[field.name]) for field in own]
    sealed = [(index, unopened) for index, (_, unopened) in enumerate(twins) if unopened is not None]
    if not sealed:
        return kind, None
    shape = [
        (field.name, twin) if field.default is MISSING else (field.name, twin, field.default)
        for field, (twin, _) in zip(own, twins, strict=True)
    ]

    def made(twin: Any) -> Any:
        values = list(_values_of(twin))
        for index, unopened in sealed:
            values[index] = unopened(values[index])
        return kind(*values)

    return msgspec.defstruct(kind.__name__, shape, gc=False), made


def _each(unopened: Unopened) -> Unopened:
    return lambda twins: tuple(map(unopened, twins)) if twins else ()


def _if_there(unopened: Unopened) -> Unopened:
    return lambda twin: None if twin is None else unopened(twin)


@cache
def sealing_of(kind: Any) -> Sealing | None:
    """What seals the words in values of this type; None where there can be none."""
    if kind is Words:
        return _seal
    if is_dataclass(kind):
        return _sealing_of_class(kind)
    parts = get_args(kind)
    inner = sealing_of(parts[0]) if len(parts) == 2 and parts[1] in {..., NoneType} else None
    if inner is None:
        return None
    if parts[1] is NoneType:
        return lambda value, seal: None if value is None else inner(value, seal)
    return lambda values, seal: [inner(value, seal) for value in values]


def _seal(words: Any, seal: Seal) -> msgspec.Raw:
    if type(words) is not Words:
        raise ValueError(f"Expected `Words`, got `{type(words).__name__}`")
    return seal(words)


def _sealing_of_class(kind: Any) -> Sealing | None:
    hints = get_type_hints(kind)
    parts = [(field.name, sealing_of(hints[field.name])) for field in fields(kind)]
    if not any(part for _, part in parts):
        return None

    def sealed(value: Any, seal: Seal) -> dict[str, Any]:
        if type(value) is not kind:
            raise ValueError(f"Expected `{kind.__name__}`, got `{type(value).__name__}`")
        return {
            name: getattr(value, name) if part is None else part(getattr(value, name), seal) for name, part in parts
        }

    return sealed
