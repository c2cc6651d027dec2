"""One pass over a log: every event hashed again and held against what was sealed, signed and witnessed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from heapq import merge
from itertools import chain as joined
from itertools import repeat
from typing import Any, Final, NoReturn
from uuid import UUID

from brojobs_es.digests import PREIMAGE, START_OF_CHAIN
from brojobs_es.evidence.merkle import TILE_HEIGHT, Frontier, Node
from brojobs_es.evidence.verify.explain import mismatch
from brojobs_es.evidence.verify.findings import Finding
from brojobs_es.evidence.verify.heads import Expected, Heads, Trust
from brojobs_es.store.scanning import Event, Snapshot, UnreadableRow, event
from brojobs_es.store.sealing import packed, unpacked

Progress = Callable[[int, int], None]
"""Called now and then with the log and the position reached."""

_BLOCK: Final = 1 << TILE_HEIGHT
"""After so many events a kept node of the tree is complete."""
_REPORT_EVERY: Final = 16 * _BLOCK
_NAMES_MAX: Final = 100_000
_TOPIC_BYTES: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_.-")
"""A topic of these alone makes an event's canonical form readable in one way only."""


class _Found(Exception):
    def __init__(self, finding: Finding) -> None:
        self.finding = finding


@dataclass(slots=True)
class Scan:
    """What a pass over a log found; sizes count events."""

    log: int
    events: int = 0
    sealed: int = 0
    signed: int = 0
    witnessed: int = 0
    stamped: int = 0
    stamped_at: datetime | None = None
    root: bytes = b""
    findings: list[Finding] = field(default_factory=list)
    cosigners: set[str] = field(default_factory=set)
    first_unsigned: int | None = None
    first_unwitnessed: int | None = None


class LogScan:
    """Reads a log once, from its first event to its last, or to the first place that is wrong."""

    def __init__(
        self,
        snapshot: Snapshot,
        log: int,
        trust: Trust,
        outside: Sequence[Expected] = (),
        progress: Progress | None = None,
    ) -> None:
        """`outside` are heads of this log that were kept elsewhere."""
        self.result = Scan(log)
        self._snapshot = snapshot
        self._log = log
        self._progress = progress
        self._tree = Frontier()
        self._pending: list[bytes] = []
        """Chain heads that are not in the tree yet."""
        self._heads: dict[bytes, bytes] = {}
        self._names: dict[bytes, bytes] = {}
        self._topics: set[bytes] = set()
        self._nodes = snapshot.nodes(log)
        stored = Heads(log, trust).stored(snapshot.heads(log))
        self._expected = merge(stored, sorted(outside, key=_size), key=_size)
        self._next = next(self._expected, None)
        self._last_good = 0
        """Position of the last event under a root that was as expected."""
        self._position = 0
        self._unsealed_from: Event | None = None

    def run(self) -> Scan:
        """Read all of it. What is wrong with a signature does not stop it; a place that is wrong does."""
        try:
            self._events()
            self._leftovers()
        except _Found as found:
            self.result.findings.append(found.finding)
        except UnreadableRow:
            self.result.findings.append(Finding("unreadable", self._log, self._position, field="row"))
        self._tree.extend(self._pending)
        self.result.events = self._tree.size
        if self._unsealed_from is None:
            self.result.sealed = self._tree.size
        self.result.root = self._tree.root()
        return self.result

    def _events(self) -> None:
        """Every event, and the row of digests that should be its own; None where the log is not sealed so far.

        What is done for each of millions of events is done here in one place, as each call would cost as much again.
        """
        log, heads, names, topics, pending = self._log, self._heads, self._names, self._topics, self._pending
        index = settled = 0
        stop = self._stop(index)
        with closing(self._snapshot.events(log)) as events, closing(self._snapshot.digests(log)) as digests:
            rows: Iterator[bytes | None] = joined(digests, repeat(None))
            for raw in events:
                it = position, order, stream, version, topic, state = event(raw)
                if topic not in topics:
                    self._check_topic(it)
                order_id = names.get(order) or self._name(order)
                stream_id = order_id if stream == order else names.get(stream) or self._name(stream)
                digest = sha256(PREIMAGE % (log, order_id, position, state, stream_id, version, topic)).digest()
                head = heads[order] = sha256(heads.get(order, START_OF_CHAIN) + digest).digest()
                row = next(rows)
                if row is None:
                    self._unsealed(it, index)
                elif row != packed(position, order, index, digest, head):
                    raise _Found(mismatch(self._snapshot, log, it, index, row, self._position))
                self._position = position
                pending.append(head)
                if index == settled:
                    self._wait(position)
                index += 1
                if index == stop:
                    self._settle()
                    settled, stop = index, self._stop(index)
            if pending:
                self._settle()
            self._missing(next(rows))

    def _name(self, raw: bytes) -> bytes:
        """An id as text, remembered for the next event of its order."""
        if len(self._names) > _NAMES_MAX:
            self._names.clear()
        text = self._names[raw] = str(UUID(bytes=raw)).encode()
        return text

    def _check_topic(self, it: Event) -> None:
        """A topic that was not seen before: only one that says the same to every reader is let through."""
        topic = it[4]
        if not topic or not _TOPIC_BYTES.issuperset(topic):
            raise _Found(Finding("event_changed", self._log, it[0], order_id=UUID(bytes=it[1]), field="topic"))
        self._topics.add(topic)

    def _unsealed(self, it: Event, index: int) -> None:
        if self._unsealed_from is None:
            self._unsealed_from, self.result.sealed = it, index

    def _wait(self, position: int) -> None:
        """The first event after a head may be the first that waits for one."""
        result = self.result
        if result.first_unsigned is None:
            result.first_unsigned = position
        if result.first_unwitnessed is None:
            result.first_unwitnessed = position

    def _stop(self, size: int) -> int:
        """How many events there are when the tree is next held against something: a kept node or a signed head."""
        whole = size - size % _BLOCK + _BLOCK
        return whole if self._next is None else min(whole, max(size + 1, self._next.size))

    def _settle(self) -> None:
        """Let the tree grow by the pending leaves, and hold it against what was kept and signed of it."""
        completed: list[Node] = []
        self._tree.extend(self._pending, completed)
        self._pending.clear()
        self._check_nodes(completed)
        size = self._tree.size
        if self._next is not None and self._next.size <= size:
            self._reach()
        if self._progress is not None and size % _REPORT_EVERY == 0:
            self._progress(self._log, self._position)

    def _missing(self, row: bytes | None) -> None:
        """A sealed row is left over when the events have ended."""
        if row is None:
            return
        try:
            position, order, *_ = unpacked(row)
        except ValueError:
            raise _Found(Finding("digest_row", self._log, self._position, field="digest")) from None
        raise _Found(Finding("event_missing", self._log, position, order_id=UUID(bytes=order), field="position"))

    def _check_nodes(self, completed: list[Node]) -> None:
        for height, index, made in completed:
            stored = self._nodes.pop((height, index), None)
            if stored != made and not (stored is None and self._unsealed_from is not None):
                self._stop_in_range("node_differs", f"nodes({height}, {index})")

    def _reach(self) -> None:
        """The tree has the size of the next signed head, or of several."""
        root, size = self._tree.root(), self._tree.size
        while (head := self._next) is not None and head.size <= size:
            self._judge(head)
            if head.root != root or head.size != size:
                self._stop_in_range("root_differs", "root", {"source": head.source, "size": head.size})
            if self._unsealed_from is not None:
                at, order = self._unsealed_from[0], UUID(bytes=self._unsealed_from[1])
                raise _Found(Finding("digests_missing", self._log, at, order_id=order, field="digest"))
            self._cover(head)
            self._next = next(self._expected, None)
        self._last_good = self._position

    def _cover(self, head: Expected) -> None:
        result = self.result
        if head.signed:
            result.signed, result.first_unsigned = head.size, None
        if head.cosigners:
            result.witnessed, result.first_unwitnessed = head.size, None
            result.cosigners |= head.cosigners
        if head.stamped_at is not None:
            result.stamped, result.stamped_at = head.size, head.stamped_at

    def _judge(self, head: Expected) -> None:
        """Keep what is wrong with a head's signatures: of each kind the first, as the others follow from it."""
        known = {finding.code for finding in self.result.findings}
        self.result.findings += [problem for problem in head.problems if problem.code not in known]

    def _leftovers(self) -> None:
        """What was signed, and what is kept of the tree, beyond the last event."""
        while (head := self._next) is not None:
            self._judge(head)
            facts = {"source": head.source, "size": head.size, "count": self._tree.size}
            raise _Found(Finding("cut", self._log, self._position, field="size", facts=facts))
        if self._nodes:
            self._stop_in_range("node_differs", "nodes({}, {})".format(*min(self._nodes)))

    def _stop_in_range(self, code: str, field: str, facts: Mapping[str, Any] | None = None) -> NoReturn:
        """Somewhere after the last root that was as expected, up to here."""
        raise _Found(Finding(code, self._log, self._position, self._last_good + 1, None, field, facts or {}))


def _size(head: Expected) -> int:
    return head.size
