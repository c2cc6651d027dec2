from __future__ import annotations

import ast
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests import kit
from tests.case.making import (
    DEPLOYMENT,
    STRANGER,
    WITNESS,
    MemoryLog,
    packed,
    public_pem,
    recorded,
    repacked,
    unpacked,
)

from brojobs_es.evidence.case.kernel import command
from brojobs_es.evidence.case.kernel.checking import Report
from brojobs_es.evidence.case.kernel.problems import Failed, Malformed, PolicyNotMet, Problem
from brojobs_es.evidence.case.single_file import verifier_source
from brojobs_es.evidence.notes import COSIGNATURE, PLAIN

NEEDED = ("cryptography", "cffi", "_cffi_backend", "pycparser")


@pytest.fixture(scope="module")
def clean_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python in an environment of its own that has cryptography, what that needs, and nothing else."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=False, symlinks=True)
    site = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    for place in Path(sysconfig.get_paths()["platlib"]).iterdir():
        if place.name.partition("-")[0].partition(".")[0] in NEEDED:
            (site / place.name).symlink_to(place)
    return folder / "bin" / "python"


def ask(python: Path, *arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run it isolated, with an empty environment."""
    command = [str(python), "-I", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={"LANG": "C.UTF-8"}, cwd=cwd, check=False)


@pytest.fixture
def verifier(tmp_path: Path) -> Path:
    path = tmp_path / "verify.py"
    path.write_text(verifier_source())
    return path


def test_the_clean_environment_does_not_know_the_project(clean_python: Path) -> None:
    """What follows would prove nothing if the package could be imported there."""
    assert ask(clean_python, "-c", "import cryptography").returncode == 0
    assert ask(clean_python, "-c", "import brojobs_es").returncode == 1
    assert ask(clean_python, "-c", "import eventsourcing").returncode == 1


def test_it_is_one_file_of_plain_python() -> None:
    """Python 3.9 can parse it, it imports the standard library and cryptography, and no name stands in two modules."""
    tree = ast.parse(verifier_source(), feature_version=(3, 9))
    imported = {
        (each.module or "") if isinstance(each, ast.ImportFrom) else each.names[0].name
        for each in ast.walk(tree)
        if isinstance(each, ast.Import | ast.ImportFrom)
    }
    defined = [each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.ClassDef)]
    defined += [
        name.id
        for each in tree.body
        if isinstance(each, ast.Assign)
        for target in each.targets
        for name in ast.walk(target)
        if isinstance(name, ast.Name)
    ]

    roots = {name.partition(".")[0] for name in imported}
    assert roots <= sys.stdlib_module_names | {"cryptography"}
    assert len(defined) == len(set(defined))


def test_it_verifies_zip_and_folder_on_its_own(case: bytes, clean_python: Path, tmp_path: Path) -> None:
    """From inside the unpacked file, without its path, and on the zip, with a key; and it leaves nothing behind."""
    with zipfile.ZipFile(io.BytesIO(case)) as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / f"case-{kit.ORDER_ID}"
    (tmp_path / "case.zip").write_bytes(case)

    for arguments in (("--unanchored",), (tmp_path / "case.zip", "--key", public_pem(DEPLOYMENT, tmp_path))):
        done = ask(clean_python, folder / "verify.py", *arguments, "--lang", "en", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert done.stdout.startswith("VERIFIED\n")
    assert {place.name for place in folder.iterdir()} == {name.split("/")[0] for name in unpacked(case)}


def variants(case: bytes, folder: Path) -> list[tuple[bytes, list[object]]]:
    """Files and what the reader brings along: right, wrong in many ways, and demanding."""
    files, dice = unpacked(case), random.Random(3)
    history = recorded(kit.completed())
    key, stranger = public_pem(DEPLOYMENT, folder), public_pem(STRANGER, folder)
    witness = folder / "witness"
    witness.write_text(str(WITNESS.verifier(COSIGNATURE)))
    log = MemoryLog(history)
    (folder / "checkpoint").write_text(log.checkpoint(4))
    made: list[tuple[bytes, list[object]]] = [
        (case, []),
        (case, ["--unanchored"]),
        (case, ["--key", key, "--witness-key", witness]),
        (case, ["--key", stranger]),
        (case, ["--witness-key", key]),
        (case, ["--key", folder / "checkpoint"]),
        (packed(history, log), ["--checkpoint", folder / "checkpoint"]),
        (case + b"x", []),
        (repacked(files | {"data/extra": b"x"}), []),
        (repacked(files | {"data/words.ndjson": b"{}\n"}, DEPLOYMENT), ["--json"]),
        (packed(history, MemoryLog(history, STRANGER)), ["--key", key]),
    ]
    for _ in range(3):
        flipped = bytearray(case)
        flipped[dice.randrange(len(case))] ^= 1 << dice.randrange(8)
        made.append((bytes(flipped), []))
    return made


def test_it_says_what_the_package_says(
    case: bytes, clean_python: Path, verifier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same answers, word for word, with the same exit codes; every exit code occurs."""
    path, codes = tmp_path / "case.zip", set()
    for content, arguments in variants(case, tmp_path):
        path.write_bytes(content)
        asked = [str(path), "--lang", "en", *map(str, arguments)]
        code = command.main(asked)
        here = capsys.readouterr()
        there = ask(clean_python, verifier, *asked)
        assert (there.returncode, there.stdout, there.stderr) == (code, here.out, here.err)
        codes.add(code)
    assert codes == {0, 1, 2, 3}


def test_the_report_for_scripts(case: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON document with the result, the facts, and what it does not prove."""
    path = tmp_path / "case.zip"
    path.write_bytes(case)

    assert command.main([str(path), "--json", "--unanchored"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)

    assert (told["result"], told["findings"], told["order_id"]) == ("verified", [], str(kit.ORDER_ID))
    assert told["anchored"] is False
    assert len(told["does_not_prove"]) == 3


def test_each_language_has_its_own_colon() -> None:
    """French has a no-break space before it, English has none."""
    problems: list[Problem] = [kind("fr", "en") for kind in (Failed, Malformed, PolicyNotMet)]

    told = command.as_text(Report(problems), "fr")

    assert told == "ÉCHEC\u00a0: fr\nILLISIBLE\u00a0: fr\nEXIGENCE NON SATISFAITE\u00a0: fr\n"
    assert command.as_text(Report(problems), "en") == "FAILED: en\nMALFORMED: en\nPOLICY NOT MET: en\n"


def test_a_key_that_is_not_there_is_said_calmly(
    case: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong path is a sentence and exit code 2."""
    path = tmp_path / "case.zip"
    path.write_bytes(case)

    assert command.main([str(path), "--key", str(tmp_path / "nowhere")]) == 2
    assert "No such file" in capsys.readouterr().err


def test_a_file_is_not_verified_with_its_own_key_alone(
    case: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is wrong, so the facts are told, but whoever made the file up would have put a key in: exit code 3."""
    path = tmp_path / "case.zip"
    path.write_bytes(case)
    fingerprint = hashlib.sha256(DEPLOYMENT.verifier(PLAIN).public).hexdigest()

    assert command.main([str(path), "--lang", "en"]) == 3
    told = capsys.readouterr().out
    assert told.startswith("POLICY NOT MET: no key was given")
    assert fingerprint in told.split("\n", 1)[0]
    assert str(kit.ORDER_ID) in told
    assert command.main([str(path), "--key", str(public_pem(DEPLOYMENT, tmp_path))]) == 0
    path.write_bytes(case[:-1])
    assert command.main([str(path)]) == 2


def test_french_comes_first(case: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unless the reader's environment is English, the answer is French."""
    path = tmp_path / "case.zip"
    path.write_bytes(case)
    before = os.environ.pop("LC_ALL", None), os.environ.pop("LANG", None)
    try:
        command.main([str(path), "--unanchored"])
    finally:
        os.environ.update({name: value for name, value in zip(("LC_ALL", "LANG"), before, strict=True) if value})

    assert capsys.readouterr().out.startswith("VÉRIFIÉ\n")
