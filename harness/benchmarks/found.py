"""What fuzzing finds within so many examples: a table of faults of the reference server.

`python harness/benchmarks/found.py [--examples=N] [--seed=N] [FAULT...]`. For each fault: the
property that found it first, after how many examples and commands, which rules, and whether
the scenario that was written breaks the rule by itself. Without a fault (`honest`), the server
has to come out clean.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pop3spec.embedded import start_embedded
from pop3spec.fixtures import BLOCKED, Maildrop
from pop3spec.fuzzing.campaign import Campaign, Found
from pop3spec.fuzzing.properties import PROPERTIES
from pop3spec.recorder import Recorder
from pop3spec.reference.faults import FAULTS, SEQUENCES
from pop3spec.run import Run
from pop3spec.settings import Settings
from pop3spec.target import Timeouts

# Of the faults that scenarios find: those that take a sequence, and those that kill.
CHOSEN = (
    "refused-dele-counts",
    "rset-forgets-highest-mark",
    "rset-does-not-reach-update",
    "rset-without-effect",
    "stat-clears-marks-for-update",
    "listings-clear-marks",
    "marks-beyond-eight-hit-others",
    "marks-survive-a-broken-session",
    "last-mark-survives-a-broken-session",
    "update-skips-neighbours",
    "retr-implies-dele",
    "dele-removes-at-once",
    "retr-counts-visible",
    "second-retr-not-rewound",
    "retr-back-gives-the-last-one",
    "uidl-made-once",
    "uidl-n-counts-visible",
    "list-refused-when-all-are-marked",
    "last-dele-closes",
    "dele-again-after-rset-refused",
    "emptied-maildrop-loses-arrivals",
    "end-of-stream-updates",
    "refused-login-keeps-lock",
    "reset-keeps-lock",
    "update-keeps-lock",
    "unique-id-is-the-number",
    "unique-ids-begin-again",
    "rset-opens-again",
    "pipelined-command-dropped",
    "letters-end-the-session",
    "colon-ends-the-session",
    "refused-number-ends-the-session",
    "uidl-of-nothing-ends-the-session",
    "numbers-end-at-a-letter",
    "unknown-command-stops-listening",
    "bad-number-turns-clients-away",
    "refusal-shows-the-mail-of-others",
)


@dataclass(frozen=True)
class Row:
    """What one property made of a fault."""

    name: str
    examples: int
    commands: int
    seconds: float
    found: tuple[Found, ...]
    end: str = ""


def rows(faults: Sequence[str], examples: int, seed: int, directory: Path) -> list[Row]:
    """Each property against the server with these faults."""
    made = []
    for name, subject in PROPERTIES.items():
        embedded = start_embedded(faults=tuple(faults), timeouts=Timeouts(5.0, 1.0, 1.0))
        settings = Settings(None, directory, seed=seed)
        restart = embedded.server.restart
        run = Run(settings, embedded.target, embedded.door, restart=restart)
        begun, end = time.monotonic(), ""
        try:
            run.begin()
            drops = [Maildrop(run, mailbox) for mailbox in run.mailboxes[:6]]
            recorder = Recorder()
            campaign = Campaign(run, drops, subject, recorder, examples, directory=directory)
            try:
                campaign.explore()
            except BLOCKED as blocked:
                end = str(blocked)
            seconds = time.monotonic() - begun
            found = tuple(campaign.found)
            made.append(Row(name, campaign.tried, campaign.commands, seconds, found, end))
        finally:
            with suppress(OSError):
                embedded.close()
    return made


def main() -> int:
    """Print the table; exit code 1 for a fault that nothing found, or a false alarm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("faults", nargs="*")
    options = parser.parse_args()
    names = options.faults or ["honest", *SEQUENCES, *CHOSEN]
    missed = 0
    print(f"{'fault':<44} {'property':<17} {'example':>7} {'steps':>5} alone  rules")
    with tempfile.TemporaryDirectory() as directory:
        for name in names:
            known = [] if name == "honest" else [name]
            made = rows(known, options.examples, options.seed, Path(directory))
            finders = [row for row in made if row.found]
            if not finders:
                tried = sum(row.examples for row in made)
                note = ", ".join(filter(None, {row.end for row in made}))
                print(f"{name:<44} {'-':<17} of {tried:>4}  {note}", flush=True)
                missed += name != "honest"
                continue
            missed += name == "honest"
            best = min(finders, key=lambda row: row.found[0].example)
            first = best.found[0]
            rules = sorted({each.accusation.rule for row in finders for each in row.found})
            expected = {**FAULTS, **SEQUENCES}.get(name) if known else None
            more = [rule for rule in rules if expected is None or rule not in expected.breaks]
            repeats = any(each.repeats for row in finders for each in row.found)
            named = f"{len(rules) - len(more)} declared, {len(more)} more"
            print(
                f"{name:<44} {best.name:<17} {first.example:>7}"
                f" {len(first.conversation.steps):>5} {'yes' if repeats else 'no':<5}"
                f"  {first.accusation.rule}; {named}",
                flush=True,
            )
    print(f"{len(names)} servers, {missed} missed or accused wrongly")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
