from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.case.making import unpacked
from tests.http.service import Service, service
from tests.http.world import Told, World

from brojobs_es.api.files import SMALL_BYTES
from brojobs_es.evidence.case.kernel.checking import Report, Trust, verify
from brojobs_es.evidence.case.kernel.notes import read_key


@pytest.fixture(scope="module")
def running(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of this module's own."""
    folder = tmp_path_factory.mktemp("case-http")
    with service(new_database(), folder) as process:
        yield process
        assert "Traceback" not in process.failures, process.failures


@pytest.fixture
def world(running: Service) -> Iterator[World]:
    with World(running.url) as made:
        yield made


def fetched(order: Told, who: str = "mediator") -> bytes:
    answer = order.world.get(who, f"{order.path}/case-file")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == f'attachment; filename="case-{order.id}.zip"'
    assert int(answer.headers["content-length"]) == len(answer.content)
    return answer.content


def verified(content: bytes, folder: Path, **trust: Any) -> Report:
    path = folder / "case.zip"
    path.write_bytes(content)
    return verify(str(path), Trust(**trust))


def test_a_dispute_s_case_file_verifies_with_the_service_s_key(world: World, running: Service, tmp_path: Path) -> None:
    """Everything of the order is in it, anchored in the key that the service keeps in its folder."""
    order = world.under_review()
    order.mediator("dispute/add-note", text="Between us: compare with the brief.")

    content = fetched(order)
    key = read_key((running.folder / "signing-key.pub").read_bytes())
    report = verified(content, tmp_path, key=key)

    assert report.exit_code == 0, [finding.en for finding in report.findings]
    assert report.facts["anchored"] is True
    assert (report.facts["words_absent"], report.facts["files"], report.facts["files_absent"]) == (0, 1, [])
    files = unpacked(content)
    assert "Between us" in files["data/timeline.html"].decode()
    told = json.loads(files["data/order.json"])
    assert told["order"] == order.see("mediator")
    assert [item["private"] for item in told["disputes"][0]["thread"]] == [True]
    assert [event["digest"] for event in told["events"]] == [event["digest"] for event in order.events()]


def test_the_events_are_those_of_the_log(world: World, tmp_path: Path) -> None:
    """Each line is the preimage of the digest that the log shows for that event."""
    from hashlib import sha256

    order = world.delivered()
    lines = unpacked(fetched(order, "auditor"))["data/events.ndjson"].split(b"\n")[:-1]

    assert [sha256(line).hexdigest() for line in lines] == [event["digest"] for event in order.events()]


def test_the_file_s_bytes_are_those_uploaded(world: World) -> None:
    """Under its digest, with its name beside."""
    order = world.paid()
    file_id = order.file(name="plan.txt")
    order.seller("deliver", note="Here", files=[file_id])
    files = unpacked(fetched(order))

    assert files[f"data/files/{file_id}"] == f"plan.txt of {order.id}".encode()
    assert json.loads(files["data/files.json"])["files"][0]["name"] == "plan.txt"


def test_files_of_both_homes_are_in_it(world: World, tmp_path: Path) -> None:
    """Small ones that lie in their rows, a large one that lies in the folder, and it verifies."""
    order = world.paid()
    contents = [b"a", b"b" * SMALL_BYTES, b"c" * (SMALL_BYTES + 1)]
    ids = [order.upload("seller", f"{n}.txt", content).json()["file_id"] for n, content in enumerate(contents)]
    order.seller("deliver", note="Here", files=ids)
    content = fetched(order)
    files = unpacked(content)
    assert [files[f"data/files/{file_id}"] for file_id in ids] == contents
    report = verified(content, tmp_path)
    assert (report.exit_code, report.facts["files"], report.facts["files_absent"]) == (0, 3, [])


def test_only_mediators_and_auditors_get_it(world: World) -> None:
    """Parties and operators are refused, strangers learn nothing."""
    order = world.disputed()
    answers = {who: world.get(who, f"{order.path}/case-file").status_code for who in world.people}

    assert answers == {
        "buyer": 403, "seller": 403, "operator": 403, "stranger": 404, "mediator": 200, "mediator2": 200, "auditor": 200,
    }  # fmt: skip
    assert world.get(None, f"{order.path}/case-file").status_code == 401
    assert world.get("auditor", "/v1/orders/00000000-0000-4000-8000-000000000000/case-file").status_code == 404


def test_the_export_itself_is_in_the_custody(world: World) -> None:
    """Who takes a copy is recorded, and the copy says so."""
    order = world.disputed()
    lines = unpacked(fetched(order))["data/custody.ndjson"].splitlines()
    looks = [json.loads(line) for line in lines]

    assert (looks[-1]["what"], looks[-1]["reader"]["id"]) == ("case-file", world.people["mediator"])


def test_what_was_just_recorded_is_already_sealed(world: World, tmp_path: Path) -> None:
    """An export waits for the sealer: the newest event is always covered by the checkpoint."""
    order = world.paid()
    for number in range(5):
        order.buyer("post-message", text=f"Message {number}")
        report = verified(fetched(order), tmp_path)
        assert report.exit_code == 0, [finding.en for finding in report.findings]
        assert report.facts["position"] == order.events()[-1]["position"]


def test_an_older_file_still_verifies_when_the_order_has_gone_on(world: World, tmp_path: Path) -> None:
    """A case file is a proof of what had happened by then, for ever."""
    order = world.disputed()
    before = fetched(order)
    order.seller("concede")

    assert verified(before, tmp_path).exit_code == 0
    assert verified(fetched(order), tmp_path).exit_code == 0
    with zipfile.ZipFile(io.BytesIO(before)) as archive:
        assert archive.testzip() is None
