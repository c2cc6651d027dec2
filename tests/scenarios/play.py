"""Plays stories that are written as data: who does what, when, and what is seen afterwards.

A file holds one or more documents with `name`, `rules`, `order` (`price`, `due_in`), `begin` (`paid`, `placed`, `nothing`)
and `steps`. T0 is the instant of the beginning, `due` the delivery date; a step may `mark` its own instant. After each
step the money must add up.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any, Final
from uuid import UUID

import httpx
import yaml
from tests.http.world import CREATES, Told, World, code, instant, wire

Step = dict[str, Any]
UNITS: Final = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}
_SPAN: Final = re.compile(r"(\d+)(ms|[dhms])")
_WHEN: Final = re.compile(r"([A-Za-z]\w*)?(?:([+-])((?:\d+(?:ms|[dhms]))+))?")
_MONEY: Final = re.compile(r"(-?\d+) ([A-Z]{3})")
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT")


def stories(folder: Path) -> list[dict[str, Any]]:
    """All stories of a folder, file by file."""
    files = sorted(folder.glob("*.yaml"))
    return [story for file in files for story in yaml.safe_load_all(file.read_text(encoding="utf-8")) if story]


def span(text: str) -> timedelta:
    """`1d2h30m` as a span."""
    return sum((timedelta(**{UNITS[unit]: int(count)}) for count, unit in _SPAN.findall(text)), timedelta())


def found(value: Any, path: str) -> Any:
    """What lies at a dotted path: keys of objects, indices of lists, or a key of every item of a list."""
    for part in path.split("."):
        if isinstance(value, list):
            value = value[int(part)] if part.isdecimal() else [found(item, part) for item in value]
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value


class Play:
    """One story on its way."""

    def __init__(self, world: World, story: dict[str, Any]) -> None:
        self.world, self.story = world, story
        self.marks: dict[str, datetime] = {}
        self.saved: dict[str, Any] = {}
        self.told: Told | None = None
        self.last: Any = None

    @property
    def order(self) -> Told:
        assert self.told is not None, "nothing has been placed"
        return self.told

    def run(self) -> None:
        """Play it; AssertionError names the step that went otherwise."""
        self.marks["T0"] = self.world.advance(days=1)
        given = self.story.get("order", {})
        self.marks["due"] = self.marks["T0"] + span(given.get("due_in", "5d"))
        begin = self.story.get("begin", "paid")
        if begin != "nothing":
            price = self.filled(given.get("price", "10001 EUR"), "buyer")
            self.told = self.world.placed(price=price, due_at=wire(self.marks["due"]))
            if begin == "paid":
                self.told.operator("confirm-payment", payment_reference="pay-1", amount=price)
        for number, step in enumerate(self.story["steps"], 1):
            try:
                self.step(step)
            except (AssertionError, KeyError, IndexError, TypeError) as error:
                raise AssertionError(f"step {number}, {step}: {type(error).__name__}: {error}") from error

    # -- what a step says

    def when(self, text: str) -> datetime:
        match = _WHEN.fullmatch(text)
        assert match, f"{text!r} is no instant"
        mark, sign, length = match.groups()
        base = self.marks[mark] if mark else self.world.now()
        return base if not sign else base + span(length) * (1 if sign == "+" else -1)

    def filled(self, value: Any, who: str, key: str = "") -> Any:
        """A body as it is sent: money, instants, saved values, people and files in place of their short forms."""
        if isinstance(value, dict):
            return {name: self.filled(part, who, name) for name, part in value.items()}
        if isinstance(value, list):
            return [self.filled(part, who, key) for part in value]
        if not isinstance(value, str):
            return value
        if value.startswith("$"):
            return self.saved[value[1:]]
        if key == "files":
            return self.order.file(who, value)
        if value.startswith("#"):
            return self.world.people[value[1:]]
        if value.startswith("@"):
            return wire(self.when(value[1:]))
        money = _MONEY.fullmatch(value)
        return {"amount": int(money[1]), "currency": money[2]} if money else value

    def step(self, step: Step) -> None:
        if "timers" in step:
            self.world.clock(run_timers=step["timers"])
        if "at" in step:
            self.world.at(self.when(step["at"]))
        if "do" in step:
            self.do(step)
        if "race" in step:
            self.race(step["race"])
        if "see" in step:
            self.see(step)
        for path, wanted in step.get("is", {}).items():
            self.check(path, found(self.last, path), self.filled(wanted, "buyer"))
        for path, wanted in step.get("has", {}).items():
            assert wanted in (found(self.last, path) or []), f"{path} is {found(self.last, path)!r}"
        for name, path in step.get("save", {}).items():
            self.saved[name] = found(self.last, path)
        if "mark" in step:
            self.marks[step["mark"]] = self.world.now()
        if self.told is not None:
            self.told.balanced()

    def check(self, path: str, got: Any, wanted: Any) -> None:
        if isinstance(got, str) and isinstance(wanted, str) and _INSTANT.match(wanted) and _INSTANT.match(got):
            assert instant(got) == instant(wanted), f"{path} is {got}, not {wanted}"
        else:
            assert got == wanted, f"{path} is {got!r}, not {wanted!r}"

    # -- what a step does

    def send(self, who: str, command: str, body: Any, headers: Any = None, query: str = "") -> httpx.Response:
        path = "/v1/orders" if command == "place" else self.order.command_path(command)
        answer = self.world.post(who, path + query, body, headers)
        if answer.status_code in (200, 201) and not query:
            if command == "place":
                self.told = Told(self.world, UUID(answer.json()["order_id"]), answer.json())
            elif command == "open-dispute":
                self.order.dispute_id = answer.json()["dispute_id"]
        return answer

    def do(self, step: Step) -> None:
        who, command, *rest = step["do"]
        body = self.filled(rest[0] if rest else {}, who)
        answer = self.send(who, command, body, step.get("headers"), step.get("query", ""))
        self.last = answer.json()
        if "refused" in step:
            assert [answer.status_code, code(answer)] == step["refused"], answer.text
        else:
            wanted = step.get("status", 201 if command in CREATES else 200)
            assert answer.status_code == wanted, answer.text

    def see(self, step: Step) -> None:
        who, view, *command = step["see"]
        part = "" if view in ("order", "dispute") else "/" + view.removeprefix("dispute/")
        base = f"/v1/disputes/{self.order.dispute_id}" if view.startswith("dispute") else self.order.path
        query = {"at": wire(self.when(step["as_of"]))} if "as_of" in step else {}
        answer = self.world.get(who, base + part, **query)
        assert answer.status_code == step.get("status", 200), answer.text
        self.last = answer.json()
        if command:
            self.last = next((item for item in self.last["items"] if item["command"] == command[0]), None)

    def race(self, racers: list[list[Any]]) -> None:
        """All at once: one succeeds, the others are told 409."""
        ready = [(who, command, self.filled(body, who)) for who, command, body in racers]
        for who, _, _ in ready:
            self.world.token(who)
        gate = Barrier(len(ready))

        def run(racer: tuple[str, str, Any]) -> httpx.Response:
            gate.wait()
            return self.send(*racer)

        with ThreadPoolExecutor(len(ready)) as pool:
            answers = list(pool.map(run, ready))
        won = [answer for answer in answers if answer.status_code in (200, 201)]
        told = [(answer.status_code, code(answer)) for answer in answers]
        assert len(won) == 1, told
        assert all(status == 409 for status, code_ in told if code_), told
        self.last = won[0].json()
