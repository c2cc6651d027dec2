"""Arrays that are packed here arrive as what they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brojobs_es.store.arrays import BigInts, Bytes, BytesOrNulls, Ints, Packed, Texts, Uuids

KINDS: dict[type[Packed], tuple[str, st.SearchStrategy[Any]]] = {
    Uuids: ("uuid", st.uuids()),
    Ints: ("int", st.integers(-(2**31), 2**31 - 1)),
    BigInts: ("bigint", st.integers(-(2**63), 2**63 - 1)),
    Texts: ("text", st.text(st.characters(codec="utf-8", exclude_characters="\x00"))),
    Bytes: ("bytea", st.binary()),
    BytesOrNulls: ("bytea", st.none() | st.binary()),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_arrives_is_what_was_packed(database_url: str, kind: Any) -> None:
    """Any values of the kind, none at all, and thousands; in their order, one dimension from 1 on."""
    name, values = KINDS[kind]
    query = f"SELECT array_ndims(a), array_lower(a, 1), a FROM (SELECT %s::{name}[] AS a) given".encode()
    with psycopg.connect(database_url) as connection:

        @settings(max_examples=60, deadline=None)
        @given(st.lists(values, max_size=20), st.sampled_from([1, 1, 500]))
        def check(few: list[Any], times: int) -> None:
            wanted = few * times
            found = connection.execute(query, (kind(wanted),)).fetchone()
            assert found == ((1, 1, wanted) if wanted else (None, None, []))

        check()


@pytest.mark.parametrize(
    ("kind", "values", "error"),
    [
        (Ints, [2**31], "struct.error"),
        (BigInts, [2**63], "struct.error"),
        (Texts, ["\ud800"], "UnicodeEncodeError"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_is_sent(kind: Any, values: Sequence[object], error: str) -> None:
    """Never cut off, and never something else in its place."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  (`struct.error` has no better name)
        kind(values)
    kind_of_error = type(caught.value)
    assert error in {kind_of_error.__name__, f"{kind_of_error.__module__}.{kind_of_error.__name__}"}


def test_a_null_character_is_the_databases_to_refuse(database_url: str) -> None:
    """As it is for a text that is sent in the usual way."""
    with psycopg.connect(database_url) as connection, pytest.raises(psycopg.DataError):
        connection.execute("SELECT %s::text[]", (Texts(["a\x00b"]),))


def test_an_id_is_sixteen_bytes(database_url: str) -> None:
    """Whatever its version."""
    given_ids = [UUID(int=0), UUID(int=2**128 - 1)]
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT %s::uuid[]", (Uuids(given_ids),)).fetchone() == (given_ids,)
