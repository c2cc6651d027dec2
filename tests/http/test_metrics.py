"""What `/metrics` shows: counted truly, readable by Prometheus, and there when the database is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from psycopg import sql
from tests.http.world import NOWHERE, World

from brojobs_es import bootstrap
from brojobs_es.api.app import create_app
from brojobs_es.settings import Settings

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(answer: httpx.Response) -> Samples:
    """Every sample by name and labels, but for the label `process`, which is the same in all of them."""
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    samples = [sample for family in families for sample in family.samples]
    assert len({sample.labels["process"] for sample in samples}) == 1
    return {(it.name, frozenset(it.labels.items() - {("process", it.labels["process"])})): it.value for it in samples}


def value(samples: Samples, name: str, **labels: str) -> float:
    """The sum of all samples of a name that have these labels."""
    return sum(number for (its, of), number in samples.items() if its == name and labels.items() <= of)


def test_commands_are_counted_by_name_and_outcome(world: World) -> None:
    """An accepted one, one refused with its code, one that is nowhere, one that is no JSON; those on a dispute apart."""
    before = read(world.get(None, "/metrics"))
    order = world.under_review()
    order.buyer("post-message", text="Hello", refused=(409, "chat_locked"))
    order.buyer("dispute/post-message", text="Hello")
    assert world.post("buyer", f"/v1/orders/{NOWHERE}/deliver").status_code == 404
    assert world.post("buyer", "/v1/orders", b"{").status_code == 422
    after = read(world.get(None, "/metrics"))

    def more(**labels: str) -> float:
        name = "brojobs_commands_total"
        return value(after, name, **labels) - value(before, name, **labels)

    assert more(command="place", outcome="accepted") == 1
    assert more(command="place", outcome="4xx") == 1
    assert more(command="post-message", outcome="chat_locked") == 1
    assert more(command="post-message", outcome="accepted") == 0
    assert more(command="dispute-post-message", outcome="accepted") == 1
    assert more(command="deliver", outcome="4xx") == 1
    assert more(command="dispute-assign", outcome="accepted") == 1
    assert more(command="assign") == 0
    seconds = {of for its, of in after if its == "brojobs_command_seconds_count"}
    assert {dict(of)["command"] for of in seconds} >= {"place", "files", "dispute-assign"}
    for of in seconds:
        command = dict(of)["command"]
        counted = value(after, "brojobs_commands_total", command=command)
        assert value(after, "brojobs_command_seconds_count", command=command) == counted
        assert value(after, "brojobs_command_seconds_bucket", command=command, le="+Inf") == counted


def test_what_is_stored_kept_and_late_is_shown(world: World) -> None:
    """Events and their transactions, what is remembered, and how far the views are behind."""
    before = read(world.get(None, "/metrics"))
    world.delivered()
    after = read(world.get(None, "/metrics"))
    grown = {
        name: value(after, name) - value(before, name)
        for name in ("brojobs_events_stored_total", "brojobs_batches_total", "brojobs_tokens_remembered")
    }
    assert grown["brojobs_events_stored_total"] >= 3
    assert 1 <= grown["brojobs_batches_total"] <= grown["brojobs_events_stored_total"]
    assert grown["brojobs_tokens_remembered"] == 3
    assert value(after, "brojobs_orders_kept") >= 1
    looks = (value(read(world.get(None, "/metrics")), "brojobs_commands_waiting") for _ in range(50))
    assert 0 in looks, "the scheduler may record a timer at the moment of a look, not of each"
    assert value(after, "brojobs_database_reachable") == 1
    assert 0 <= value(after, "brojobs_views_batch_age_seconds") < 60
    views = {dict(of)["view"] for its, of in after if its == "brojobs_view_behind_events"}
    assert views >= {"order_summary", "deadlines", "audit"}
    assert {dict(of)["view"] for its, of in after if its == "brojobs_view_behind_seconds"} == views


def test_it_says_which_process_answers_and_names_nobody(world: World, twin: World) -> None:
    """Two processes answer for themselves; no id of a person or an order is on the page; the connection is closed."""
    order = world.paid()
    order.through(twin).buyer("post-message", text="Hello")
    pages = [each.get(None, "/metrics") for each in (world, twin)]
    processes = {
        sample.labels["process"]
        for page in pages
        for family in text_string_to_metric_families(page.text)
        for sample in family.samples
    }
    assert len(processes) == 2
    for page in pages:
        assert page.headers["connection"] == "close"
        assert page.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert not [name for name in (*world.people.values(), str(order.id)) if name in page.text]


def test_readiness_says_how_late_the_views_are(world: World) -> None:
    """In events and in seconds."""
    world.paid()
    ready = world.get(None, "/readyz").json()
    assert ready["status"] == "ready"
    assert ready["events_behind"] >= 0
    assert 0 <= ready["views_behind_seconds"] < 60


@contextmanager
def unreachable(server: str, url: str) -> Iterator[None]:
    """Nobody has a connection to the database, and nobody gets one."""
    name = urlsplit(url).path.removeprefix("/")
    door = "ALTER DATABASE {} ALLOW_CONNECTIONS {}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL(door).format(sql.Identifier(name), sql.SQL("false")))
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        yield
        connection.execute(sql.SQL(door).format(sql.Identifier(name), sql.SQL("true")))


async def test_a_scrape_never_fails(postgres_server: str, clean_logs: str, tmp_path: Path, log_count: int) -> None:
    """Without its database a process still says what it counted, and that the database is away; then all is shown again."""
    settings = Settings(database_url=clean_logs, logs=log_count, data_dir=tmp_path)
    async with bootstrap.running(settings, clean_logs, background=False) as runtime:
        transport = httpx.ASGITransport(create_app(runtime))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as http:
            await http.post("/v1/orders", json={})
            with unreachable(postgres_server, clean_logs):
                away = read(await http.get("/metrics"))
                assert (await http.get("/readyz")).status_code == 503
            back = read(await http.get("/metrics"))
            for _ in range(20):
                if value(back, "brojobs_database_reachable"):
                    break
                back = read(await http.get("/metrics"))
            readiness = (await http.get("/readyz")).json()
    assert value(away, "brojobs_commands_total", command="place", outcome="4xx") == 1
    assert value(away, "brojobs_database_reachable") == 0
    assert not [its for its, _ in away if its.startswith("brojobs_view_")]
    assert value(back, "brojobs_commands_total", command="place", outcome="4xx") == 1
    assert value(back, "brojobs_database_reachable") == 1
    assert [its for its, _ in back if its == "brojobs_view_behind_seconds"]
    assert not [its for its, _ in back if its == "brojobs_views_batch_age_seconds"]  # no runner in this process
    assert readiness["views_behind_seconds"] == 0.0


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_the_pages_of_operation_are_documented(world: World, path: str) -> None:
    """They stand in the OpenAPI document, with what they are for."""
    operation = world.get(None, "/openapi.json").json()["paths"][path]["get"]
    assert operation["description"]
    assert "security" not in operation
