"""What must be true after a siege, however it went: looked up in the log itself, and asked of the service."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import psycopg
from tests.http.besieged import Town
from tests.http.siege import Request, Siege
from typer.testing import CliRunner

from brojobs_es.cli import app

CATCH_UP_SECONDS: Final = 20.0


class Row(NamedTuple):
    """An event as it lies in the log."""

    log: int
    position: int
    order_id: str
    stream_id: str
    version: int
    topic: str
    state: bytes


@dataclass
class Aftermath:
    """Looks again after each round; what was there before must still be there, as it was."""

    town: Town
    siege: Siege
    rows: list[list[Row]] = field(default_factory=list)
    checked: int = 0

    async def look(self) -> None:
        """Everything, while nobody asks anything."""
        recent = self.siege.requests[self.checked :]
        self.checked = len(self.siege.requests)
        await self._answers_stand(recent)
        before, self.rows = self.rows, await asyncio.to_thread(self._log)
        for log, rows in enumerate(before):
            assert self.rows[log][: len(rows)] == rows, "what was stored is not there any more"
        self._events_follow_each_other()
        await self._each_is_somebodys(recent)
        await self._files_are_there()
        await self._views_catch_up()
        await asyncio.to_thread(self._evidence_is_whole)

    # -- what was acknowledged is there, once

    async def _answers_stand(self, requests: list[Request]) -> None:
        """Asked again under its key, each gets its first answer again, and it is marked as that."""
        keyed = [request for request in requests if request.key is not None]
        for start in range(0, len(keyed), 16):
            part = keyed[start : start + 16]
            for request, again in zip(part, await asyncio.gather(*map(self.siege.until_answered, part)), strict=True):
                assert request.answer is not None
                assert again.headers.get("idempotency-replayed") == "true", f"done a second time: {request}"
                assert (again.status_code, again.json()) == (request.answer.status_code, request.answer.json())

    async def _each_is_somebodys(self, recent: list[Request]) -> None:
        """Every command in the log was asked for, every one that was answered is there, and none is there twice."""
        stored: Counter[tuple[str, str, str]] = Counter()
        for order_id, command, who in {
            command_id: key for command_id, key in map(_commanded, self._all()) if command_id is not None
        }.values():
            stored[order_id, command, who] += 1
        asked: Counter[tuple[str, str, str]] = Counter()
        for request in self.siege.requests:
            if request.key is not None:
                asked[request.order_id, request.command, request.who] += 1
        for (order_id, who), texts in (await self._chats(recent)).items():
            asked[order_id, "post-message", who] += texts
        assert stored == asked, f"stored only {stored - asked}, asked only {asked - stored}"
        keys = {request.key for request in self.siege.requests if request.key is not None}
        assert await asyncio.to_thread(self._keys) == keys

    async def _chats(self, recent: list[Request]) -> dict[tuple[str, str], int]:
        """How many messages without a key each order got from whom: each of them once, or not at all if unanswered."""
        without = defaultdict[str, list[Request]](list)
        for request in self.siege.requests:
            if request.key is None:
                without[request.path.split("/")[3]].append(request)
        asked_now = {request.path.split("/")[3] for request in recent if request.key is None}
        for order_id in asked_now:
            self._seen[order_id] = await self._texts(order_id, without[order_id][0].who)
        counts: Counter[tuple[str, str]] = Counter()
        for order_id, requests in without.items():
            for request in requests:
                there = self._seen[order_id][request.body["text"]]
                assert there <= 1, f"there twice: {request}"
                assert there == 1 or request.answer is None, f"acknowledged and lost: {request}"
                counts[order_id, request.who] += there
        return dict(counts)

    _seen: dict[str, Counter[str]] = field(default_factory=dict)

    async def _texts(self, order_id: str, who: str) -> Counter[str]:
        texts: Counter[str] = Counter()
        following: dict[str, Any] = {"limit": 1000}
        while True:
            shown = await self._get(f"/v1/orders/{order_id}/chat", who, following)
            texts.update(message["text"] for message in shown["messages"])
            if not shown.get("next"):
                return texts
            following["cursor"] = shown["next"]

    async def _files_are_there(self) -> None:
        """Every file whose upload was acknowledged can be fetched, byte for byte."""
        for file in self.siege.files:
            answer = await self.siege.http.get(self.town.url + file.path, headers=self.siege.headers(file.who))
            assert (answer.status_code, answer.content) == (200, file.content)
        self.siege.files.clear()

    # -- the log

    def _log(self) -> list[list[Row]]:
        columns = "position, order_id::text, stream_id::text, stream_version, topic, state"
        with psycopg.connect(self.town.database_url) as connection:
            return [
                [
                    Row(log, *row)
                    for row in connection.execute(f"SELECT {columns} FROM log_{log}.events ORDER BY position".encode())
                ]
                for log in range(self.town.logs)
            ]

    def _keys(self) -> set[str]:
        with psycopg.connect(self.town.database_url) as connection:
            return {
                row[0]
                for log in range(self.town.logs)
                for row in connection.execute(f"SELECT key FROM log_{log}.idempotency".encode())
            }

    def _all(self) -> list[Row]:
        return [row for rows in self.rows for row in rows]

    def _events_follow_each_other(self) -> None:
        """Positions ascend; each stream has the versions 1, 2, …, in the order of positions."""
        versions: Counter[str] = Counter()
        for rows in self.rows:
            positions = [row.position for row in rows]
            assert positions == sorted(set(positions))
        for row in self._all():
            versions[row.stream_id] += 1
            assert row.version == versions[row.stream_id], row

    # -- what follows from the log

    async def _views_catch_up(self) -> None:
        """All of them; nothing is parked; each order's row says what its buyer is told."""
        async with asyncio.timeout(CATCH_UP_SECONDS):
            while await asyncio.to_thread(self._behind):  # noqa: ASYNC110  (the views announce nothing)
                await asyncio.sleep(0.05)
        with psycopg.connect(self.town.database_url) as connection:
            assert connection.execute("SELECT count(*) FROM views.parked").fetchone() == (0,)
            shown: dict[str, str] = dict(
                connection.execute("SELECT order_id::text, status FROM views.order_summary").fetchall()
            )
        assert shown.keys() == {row.order_id for row in self._all()}
        told = {request.order_id: request for request in self.siege.requests if request.command == "place"}
        for order_id in list(told)[-20:]:
            order = await self._get(f"/v1/orders/{order_id}", told[order_id].who, {})
            assert order["status"] == shown[order_id]

    def _behind(self) -> bool:
        with psycopg.connect(self.town.database_url) as connection:
            for rows in self.rows:
                if not rows:
                    continue
                view = "SELECT min(position) FROM views.tracking WHERE log = %s"
                digests = f"SELECT max(position) FROM log_{rows[0].log}.digests"
                reached = [
                    connection.execute(view, (rows[0].log,)).fetchone(),
                    connection.execute(digests.encode()).fetchone(),
                ]
                if any(row is None or row[0] is None or row[0] < rows[-1].position for row in reached):
                    return True
        return False

    def _evidence_is_whole(self) -> None:
        """`brojobs verify` finds nothing, as the auditor of this deployment."""
        result = CliRunner().invoke(app, ["verify", "--json"], env=dict(self.town.environment))
        assert result.exit_code == 0, result.output

    async def _get(self, path: str, who: str, query: dict[str, Any]) -> dict[str, Any]:
        answer = await self.siege.http.get(self.town.url + path, params=query, headers=self.siege.headers(who))
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown


def _commanded(row: Row) -> tuple[str | None, tuple[str, str, str]]:
    """Whose command an event is of, and which; None for what the clock did."""
    cause = json.loads(row.state)["cause"]
    return cause["command_id"], (row.order_id, str(cause["command"]), str(cause["actor"]["id"]))
