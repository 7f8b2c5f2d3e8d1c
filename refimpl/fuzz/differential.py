"""Ask two implementations the same, and find where they differ: `python refimpl/fuzz/differential.py`.

    python refimpl/fuzz/differential.py --seconds 600
    python refimpl/fuzz/differential.py --family series --seed 7
    python refimpl/fuzz/differential.py --replay out/fuzz/differential/0123456789ab.json

Both are adapters of the conformance protocol (SPEC.md, annex P), each in a process of its own; by default the
reference and the one in JavaScript, which `npm run build` makes. Golden vectors, and what mutations make of them, are
validated, decoded and written again by both; models of the core vocabulary are computed. A finding is

- an answer of one that the other refuses, or a `fault`, a crash, a hang;
- another identity, another content, other bytes that are written;
- more than 5 seconds of processor time or 512 MiB of memory for a case (on Linux).

Where both refuse, with other codes, an input may have several faults (E-3): such pairs are counted, with an example of
each in `out/fuzz/differential/codes`. The exit code is 1 if there is a finding.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Final

from fuzz.differential_cases import FAMILIES, Case, load, mutation, seeds
from fuzz.differential_judging import CODES, Tally, examine
from fuzz.differential_pair import Difference, Pair

ROOT = Path(__file__).resolve().parents[2]
REFERENCE: Final = f"'{sys.executable}' -m etui_conformance.adapters.reference"
JAVASCRIPT: Final = f"node '{ROOT / 'refimpl' / 'js' / 'dist' / 'adapter' / 'adapter.js'}'"

_PROGRESS_SECONDS: Final = 20.0
_VALID: Final = 0.8
_SHOWN: Final = 300


class Record:
    """Findings as files: for each key the smallest case, with what was said of it.

    Args:
        folder: for them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found: dict[str, Path] = {}

    def keep(self, case: Case, difference: Difference) -> None:
        """Write a finding down, unless there is a smaller case of the same key."""
        is_code = difference.key.startswith(CODES)
        folder = self.folder / "codes" if is_code else self.folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{sha256(difference.key.encode()).hexdigest()[:12]}.json"
        text = json.dumps({"key": difference.key, "text": difference.text, **case.as_json()})
        if difference.key in self.found or not path.exists() or path.stat().st_size > len(text):
            if path.exists() and path.stat().st_size <= len(text):
                return
            path.write_text(text, encoding="utf-8")
        if not is_code and difference.key not in self.found:
            self.found[difference.key] = path
            print(f"FINDING {difference.key}\n  {difference.text[:_SHOWN]}\n  --replay {path}", flush=True)


def replay(pair: Pair, path: Path) -> int:
    """Ask about the case of one finding; print what they do not agree about, and return 1 if that is something."""
    differences = list(examine(pair, load(path), Random(0), Tally()))
    for difference in differences:
        print(f"{difference.key}\n{difference.text}\n")
    if not differences:
        print("no difference")
    return int(bool(differences))


def fuzz(
    pair: Pair, families: list[str], seed: int, record: Record, *, seconds: float = math.inf, cases: float = math.inf
) -> Tally:
    """Ask about golden vectors and their mutations, of some families, until the time or the number of cases is over."""
    tally, rng = Tally(), Random(seed)
    valid, invalid = seeds(valid=True), seeds(valid=False)
    end = time.monotonic() + seconds
    shown = time.monotonic()
    while time.monotonic() < end and tally.cases < cases:
        case = rng.choice((valid if rng.random() < _VALID else invalid)[rng.choice(families)])
        for _ in range(rng.choice((0, 1, 1, 1, 1, 2))):
            case = mutation(case, rng)
        for difference in examine(pair, case, rng, tally):
            record.keep(case, difference)
        if time.monotonic() - shown > _PROGRESS_SECONDS:
            shown = time.monotonic()
            print(_line(tally, record), flush=True)
    return tally


def _line(tally: Tally, record: Record) -> str:
    return (
        f"{tally.cases:,} cases, {tally.taken:,} taken by both, "
        f"{tally.codes.total():,} refused with other codes, findings {len(record.found)}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Compare as the command line says; 1 if there is a finding."""
    parser = argparse.ArgumentParser(prog="differential.py", description="Find where two implementations differ.")
    parser.add_argument("--seconds", type=float, default=600, help="how long (default: 600)")
    parser.add_argument("--family", choices=["all", *FAMILIES], default="all", help="by default, all in turn")
    parser.add_argument("--seed", type=int, default=None, help="of the mutations; by default another in each run")
    parser.add_argument("--adapter", default=JAVASCRIPT, help="what starts the other adapter")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "fuzz" / "differential", help="folder for findings")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="ask about one case, and fuzz nothing")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else Random().randrange(1 << 32)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="etui-differential-"))).resolve()
        pair = Pair({"reference": REFERENCE, "other": options.adapter}, folder)
        stack.callback(pair.close)
        if options.replay is not None:
            return replay(pair, options.replay)
        print(f"seed {seed}", flush=True)
        record = Record(options.out)
        families = list(FAMILIES) if options.family == "all" else [options.family]
        tally = fuzz(pair, families, seed, record, seconds=options.seconds)
        print(_line(tally, record))
        for pair_of_codes, count in tally.codes.most_common():
            print(f"  {count:6}  {pair_of_codes}")
        return int(bool(record.found))


if __name__ == "__main__":
    sys.exit(main())
