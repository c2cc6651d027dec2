"""Two processes on one database, the commands of each order alternating between them: every one must be accepted.

    python -m benchmarks.alternating --commands 1000

Each life's requests go to one process and the other in turn, each at once after the answer to the last. A process that
judged by what it remembers of an order, without looking whether the other has changed it, would refuse many of them.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from itertools import cycle

from benchmarks.lives import People, life_of_order
from benchmarks.stage import service, stage
from benchmarks.talking import Refused, Talker


def refusals(talkers: list[Talker], people: People, commands: int) -> tuple[int, Counter[str]]:
    """How many commands were sent, and what became of those that were not accepted."""
    sent, refused = 0, Counter[str]()
    while sent < commands:
        life, turn = life_of_order(people)(), cycle(random.sample(talkers, len(talkers)))
        step = next(life)
        try:
            while True:
                sent += step.is_command
                step = life.send(next(turn).ask(step.request, step.status))
        except StopIteration:
            continue
        except Refused as answer:
            refused[f"{step.name}: {answer}"] += 1
    return sent, refused


def main() -> None:
    """Play, tell, fail where anything was refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", type=int, default=1_000)
    given = parser.parse_args()
    with (
        stage() as on,
        service(on) as one,
        service(on) as other,
        Talker(one.port) as first,
        Talker(other.port) as second,
    ):
        sent, refused = refusals([first, second], People.of(one.folder), given.commands)
    print(f"{sent - refused.total()} of {sent} commands accepted")
    for answer, times in refused.most_common(5):
        print(f"{times} × {answer}")
    if refused:
        sys.exit(1)


if __name__ == "__main__":
    main()
