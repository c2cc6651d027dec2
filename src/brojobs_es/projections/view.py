"""A view is a fold, used twice: over one order up to an instant, and by the runner into a table."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol, TypeVar

from brojobs_es.aggregates.base import Event

S = TypeVar("S")


class View(Protocol[S]):
    """One view: the table `views.<name>` has a row an order, made from the fold's state and from nothing else."""

    @property
    def name(self) -> str:
        """The name of the view and of its table."""
        ...

    @property
    def columns(self) -> Mapping[str, str]:
        """Each column with its SQL type."""
        ...

    def fold(self, state: S | None, event: Event) -> S | None:
        """The state after one more event. It may be the given one, changed, which belongs to nobody else."""
        ...

    def row(self, state: S) -> Mapping[str, object] | None:
        """The values of `columns`, plain ones (for `jsonb` dataclasses as well); None for an order that the view does not list."""
        ...


def taken_by(view: View[Any]) -> Collection[type[Event]] | None:
    """The classes of events that a view's fold looks at, which it names in `takes` where these are few; None for all."""
    takes: Collection[type[Event]] | None = getattr(view, "takes", None)
    return takes


def folded(view: View[S], events: Iterable[Event]) -> S | None:
    """The view of one order after these events."""
    state: S | None = None
    for event in events:
        state = view.fold(state, event)
    return state
