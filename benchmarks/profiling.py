"""Where the service's time goes under load: a flame graph and a table, taken by py-spy from outside.

    python -m benchmarks.profiling --clients 32 --seconds 10

Writes benchmarks/results/profile.svg (open it in a browser) and benchmarks/results/profile.md. Sampling stops the service for a
moment each time, so rates measured meanwhile do not count. Work inside C extensions shows under the Python line that
called it; the event loop itself, which is C, shows as the line that runs it.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks import machine
from benchmarks.stage import ROOT, Service, Stage, service, stage

RESULTS: Final = ROOT / "benchmarks" / "results"
_FRAME: Final = re.compile(r"(?P<function>.+?) \((?P<file>[^()]*?)(?::\d+)?\)")
_WARM_UP_SECONDS: Final = 3
_SHOWN: Final = 30


def recorded(of: Service, output: Path, seconds: int, rate: int, *options: str) -> None:
    """One recording of the running service."""
    command = [
        *(str(Path(sys.executable).parent / "py-spy"), "record", "--pid", str(of.pid), "--subprocesses"),
        *("--function", "--duration", str(seconds), "--rate", str(rate), "--output", str(output), *options),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"py-spy failed: {done.stdout}{done.stderr}")


def take(on: Stage, life: str, clients: int, seconds: int, rate: int, service_args: str) -> tuple[str, str]:
    """A flame graph (SVG) and collapsed stacks of the service under load."""
    graph, stacks = on.folder / "profile.svg", on.folder / "profile.txt"
    with service(on, shlex.split(service_args)) as of:
        command = [
            *(sys.executable, "-m", "benchmarks.load", life, "--port", str(of.port), "--folder", str(of.folder)),
            *("--clients", str(clients), "--warm-up", "0", "--seconds", str(_WARM_UP_SECONDS + 2 * seconds + 3)),
        ]
        load = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            load.wait(_WARM_UP_SECONDS)
            raise RuntimeError("the load generator ended at once")
        except subprocess.TimeoutExpired:
            recorded(of, graph, seconds, rate)
            recorded(of, stacks, seconds, rate, "--format", "raw", "--full-filenames")
            load.wait()
    return without_commands(graph.read_text(), clients), without_paths(stacks.read_text())


def without_commands(graph: str, clients: int) -> str:
    """The flame graph without command lines, which name folders of this machine."""
    graph = re.sub(r'(<text id="title"[^>]*>)[^<]*', rf"\g<1>the service under {clients} clients", graph)
    return re.sub(r"process (\d+):(&quot;)?[^<(]*", r"process \g<1> ", graph)


def without_paths(text: str) -> str:
    """The text without the folders of this machine: packages and the service's modules by their own names."""
    for folder in (sysconfig.get_path("purelib"), str(ROOT / "src"), sysconfig.get_path("stdlib"), str(ROOT)):
        text = text.replace(f"{folder}/", "")
    return text


def frames(stack: str) -> Iterator[tuple[str, str]]:
    """Function and file of each frame of a collapsed stack, the outermost first."""
    for frame in stack.split(";"):
        found = _FRAME.fullmatch(frame)
        if found:
            yield found["function"], found["file"]


def package(file: str) -> str:
    """What a file belongs to: a layer of ours (two parts), a package (one)."""
    parts = file.removesuffix(".py").split("/")
    return "/".join(parts[:2]) if parts[0] in {"brojobs_es", "starlette", "fastapi"} else parts[0]


def table(title: str, found: Counter[str], total: int) -> list[str]:
    """The first lines of a count, in per cent."""
    lines = [f"## {title}", "", "| % | what |", "|---:|---|"]
    lines += [f"| {count / total:.1%} | `{name}` |" for name, count in found.most_common(_SHOWN)]
    return [*lines, ""]


def told(stacks: str, clients: int) -> str:
    """The collapsed stacks as a page: own time by package and by function, and time with all that is called."""
    packages: Counter[str] = Counter()
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        named = list(frames(stack))
        if not named:
            continue
        packages[package(named[-1][1])] += int(count)
        own["{} ({})".format(*named[-1])] += int(count)
        for frame in {frame for frame in named if frame[1].startswith("brojobs_es/")}:
            within["{} ({})".format(*frame)] += int(count)
    total = own.total()
    of = machine.described()
    head = f"Profile of the service under {clients} clients: {total} samples, {of['date'][:10]}, code {of['commit']}."
    return "\n".join(
        [
            "# Profile of the command path", "", f"{head} Made by `make profile`; the flame graph lies beside it.", "",
            *table("Own time by package", packages, total),
            *table("Own time by function", own, total),
            *table("Time of the service's own functions with all that they call", within, total),
        ]
    )  # fmt: skip


def main() -> None:
    """Profile and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--life", choices=["service", "fileless"], default="service", help="with or without a file")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=int, default=10, help="of each of two recordings")
    parser.add_argument("--rate", type=int, default=250, help="samples a second")
    parser.add_argument("--service-args", default="")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder")
    given = parser.parse_args()
    with stage() as on:
        graph, stacks = take(on, given.life, given.clients, given.seconds, given.rate, given.service_args)
    given.output.mkdir(parents=True, exist_ok=True)
    page = told(stacks, given.clients)
    (given.output / "profile.svg").write_text(graph, encoding="utf-8")
    (given.output / "profile.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
