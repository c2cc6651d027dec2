"""Columns of many rows as PostgreSQL's binary arrays: packing them here costs a tenth of having each value adapted."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final
from uuid import UUID

from psycopg import adapters
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

_HEADER: Final = Struct("!iiiii")
_EMPTY: Final = Struct("!iii")
_NUMBER: Final = Struct("!ii")
_LARGE_NUMBER: Final = Struct("!iq")
_LENGTH: Final = Struct("!i")
_UUID_LENGTH: Final = _LENGTH.pack(16)
_NULL: Final = _LENGTH.pack(-1)


class Packed:
    """A whole array parameter in binary form."""

    __slots__ = ("data",)

    def __init__(self, element_oid: int, count: int, values: Sequence[bytes], *, nulls: bool = False) -> None:
        """`values` are the elements, each behind its length; `nulls` says whether some may be NULL."""
        head = _HEADER.pack(1, nulls, element_oid, count, 1) if count else _EMPTY.pack(0, 0, element_oid)
        self.data = b"".join([head, *values])


class Uuids(Packed):
    """uuid[]"""

    def __init__(self, values: Sequence[UUID]) -> None:
        super().__init__(2950, len(values), [_UUID_LENGTH + value.int.to_bytes(16) for value in values])


class Ints(Packed):
    """int[]"""

    def __init__(self, values: Sequence[int]) -> None:
        super().__init__(23, len(values), [_NUMBER.pack(4, value) for value in values])


class BigInts(Packed):
    """bigint[]"""

    def __init__(self, values: Sequence[int]) -> None:
        super().__init__(20, len(values), [_LARGE_NUMBER.pack(8, value) for value in values])


class Texts(Packed):
    """text[]; raises UnicodeEncodeError."""

    def __init__(self, values: Sequence[str]) -> None:
        super().__init__(25, len(values), _with_lengths([value.encode() for value in values]))


class Bytes(Packed):
    """bytea[]"""

    def __init__(self, values: Sequence[bytes]) -> None:
        super().__init__(17, len(values), _with_lengths(values))


class BytesOrNulls(Packed):
    """bytea[] of which some may be NULL."""

    def __init__(self, values: Sequence[bytes | None]) -> None:
        parts = [(_NULL,) if value is None else (_LENGTH.pack(len(value)), value) for value in values]
        super().__init__(17, len(values), [part for both in parts for part in both], nulls=None in values)


def _with_lengths(values: Sequence[bytes]) -> list[bytes]:
    length = _LENGTH.pack
    return [part for value in values for part in (length(len(value)), value)]


def _dumper(array_oid: int) -> type[Dumper]:
    class PackedDumper(Dumper):
        format = Format.BINARY
        oid = array_oid

        def dump(self, obj: Packed) -> Buffer | None:
            return obj.data

    return PackedDumper


for _kind, _oid in ((Uuids, 2951), (Ints, 1007), (BigInts, 1016), (Texts, 1009), (Bytes, 1001), (BytesOrNulls, 1001)):
    adapters.register_dumper(_kind, _dumper(_oid))
