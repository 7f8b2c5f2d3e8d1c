"""Fuzz the parsers, guided by coverage.

    python refimpl/fuzz/run.py                                # every target, 10 minutes each
    python refimpl/fuzz/run.py --target json --seconds 60
    python refimpl/fuzz/run.py --replay out/fuzz/findings/json/0123456789ab

Seeds come from the golden vectors; what a run adds to them is kept in `out/fuzz/corpus` for the next one. Findings are
in `out/fuzz/findings`, an input and a description for each. The exit code is 1 if there are any.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

from fuzz import session
from fuzz.kit import Tally, chosen, examine
from fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
_OUT = ROOT / "out" / "fuzz"
_PULSE = re.compile(r"#(\d+)\s+\S+\s+cov: (\d+) ft: (\d+) corp: (\d+)/")
_PROGRESS_SECONDS = 20.0
_HANG_SECONDS = 25
_REPLAY_SECONDS = 120
_MEBIBYTES = 3000
_PATIENCE, _START_SECONDS = 3, 60
_SEEDS = 500


@dataclass(slots=True)
class Outcome:
    """What the fuzzing of one target gave.

    Attributes:
        target: its name.
        seconds: spent on it, without the start of the processes.
        executions: inputs that were run.
        corpus: inputs that each reach something that no other does.
        coverage, features: places of the code that were reached, and kinds of ways to them.
        contained: crashes and hangs of libhdf5 that do not reach whoever reads in a process of its own, as is the
            default.
        findings: files with what is wrong.
        tally: what became of the inputs; see `fuzz.kit.Tally`.
    """

    target: str
    seconds: float = 0.0
    executions: int = 0
    corpus: int = 0
    coverage: int = 0
    features: int = 0
    contained: int = 0
    findings: list[str] = field(default_factory=list)
    tally: dict[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """The outcome for people."""
        libhdf5 = f", {self.contained} contained crashes of libhdf5" if self.contained else ""
        return (
            f"{self.target:12} {self.seconds:6.0f} s  {self.executions:10,} executions  corpus {self.corpus:6,}  "
            f"coverage {self.coverage:6,}  features {self.features:7,}  findings {len(self.findings)}{libhdf5}"
        )


class Fuzzing:
    """The fuzzing of one target, for a time.

    Args:
        name: of the target.
        seconds: for it.
        corpus: the folder of all corpora.
        out: the folder for findings.
        stream: for progress.
    """

    def __init__(self, name: str, seconds: float, corpus: Path, out: Path, stream: TextIO) -> None:
        self._seconds, self._stream = seconds, stream
        self._corpus = corpus / name
        self._work = out / "work" / name
        self._artifacts = self._work / "ended"
        self._seeds = out / "seeds" / name
        self._findings = out / "findings" / name
        self.outcome = Outcome(name)
        self._before = self._shown = 0.0
        self._executed = 0

    def run(self) -> Outcome:
        """Fuzz until the time is over, in a new process whenever one ended before."""
        for folder in (self._work, self._seeds, self._findings):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (self._artifacts, self._seeds, self._corpus):
            folder.mkdir(parents=True, exist_ok=True)
        target = TARGETS[self.outcome.target]
        for number, data in enumerate(chosen(target.seeds(), _SEEDS, target.largest)):
            (self._seeds / f"{number:05}").write_bytes(data)
        # A new process takes its time to begin, which is not counted; where libhdf5 ends most of them it adds up.
        end = time.monotonic() + _PATIENCE * self._seconds + _START_SECONDS
        while time.monotonic() < end:
            if self._session(target.largest) == 0 or self._seconds - self.outcome.seconds < 1:
                break
        self._collect()
        print(self.outcome.line(), file=self._stream, flush=True)
        return self.outcome

    def _session(self, largest: int) -> int:
        flags = [
            f"-max_total_time={max(1, round(self._seconds - self.outcome.seconds))}",
            *(f"-max_len={largest}", f"-timeout={_HANG_SECONDS}", f"-rss_limit_mb={_MEBIBYTES}", "-len_control=20"),
            *(f"-artifact_prefix={self._artifacts}/", "-print_final_stats=1", "-report_slow_units=1000"),
        ]
        command = [sys.executable, "-m", "fuzz.session", self.outcome.target, str(self._work), *flags]
        began = 0.0
        self._before = self.outcome.seconds
        log = self._work / "log.txt"
        with (
            subprocess.Popen(
                [*command, str(self._corpus), str(self._seeds)],
                stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                text=True,
                errors="replace",
                env=_environment(),
            ) as process,
            log.open("w", encoding="utf-8") as kept,
        ):
            assert process.stderr is not None  # it is a pipe
            for line in process.stderr:
                if "INFO: Instrumenting" in line:
                    continue
                pulse = _PULSE.match(line)
                if pulse:
                    began = began or time.monotonic()
                    self._pulse(pulse, began)
                elif not line.startswith("#"):
                    kept.write(line)
        self._executed = self.outcome.executions
        if not began:
            raise SystemExit(f"the process that fuzzes {self.outcome.target} did not begin: see {log}")
        self._judge()
        return process.returncode

    def _pulse(self, pulse: re.Match[str], began: float) -> None:
        executed, coverage, features, corpus = map(int, pulse.groups())
        found = self.outcome
        found.executions = self._executed + executed
        found.coverage, found.features, found.corpus = coverage, features, corpus
        found.seconds = self._before + time.monotonic() - began
        if time.monotonic() - self._shown > _PROGRESS_SECONDS:
            self._shown = time.monotonic()
            found.findings = sorted(map(str, (self._work / session.FINDINGS).glob("*.txt")))
            print(found.line(), file=self._stream, flush=True)

    def _judge(self) -> None:
        """Look at the input on which the process ended: alone, and with libhdf5 in a process of its own."""
        for path in sorted(self._artifacts.iterdir()):
            command = [sys.executable, str(Path(__file__)), "--replay", str(path), "--target", self.outcome.target]
            try:
                reply = subprocess.run(
                    command, capture_output=True, text=True, timeout=_REPLAY_SECONDS, check=False, env=_environment()
                )
                text, failed = reply.stdout + reply.stderr[-4000:], reply.returncode != 0
            except subprocess.TimeoutExpired:
                text, failed = f"no end within {_REPLAY_SECONDS} seconds", True
            if failed:
                kept = self._work / session.FINDINGS / path.name
                kept.write_bytes(path.read_bytes())
                kept.with_suffix(".txt").write_text(f"the process ended\n\n{text}", encoding="utf-8")
            else:
                self.outcome.contained += 1
            path.unlink()

    def _collect(self) -> None:
        found = self._work / session.FINDINGS
        if any(found.iterdir()):
            shutil.copytree(found, self._findings)
        self.outcome.findings = [_shown(path.with_suffix("")) for path in sorted(self._findings.glob("*.txt"))]
        tally = self._work / session.TALLY
        if tally.exists():
            self.outcome.tally = json.loads(tally.read_text(encoding="utf-8"))
        for name in self.outcome.findings:
            text = (ROOT / name).with_suffix(".txt").read_text(encoding="utf-8")
            print(f"FINDING {self.outcome.target}: {text.splitlines()[0]}", file=self._stream)
            print(f"  python refimpl/fuzz/run.py --replay {name}", file=self._stream, flush=True)


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _environment() -> dict[str, str]:
    folders = os.pathsep.join(entry for entry in sys.path if entry)
    return os.environ | {"PYTHONPATH": folders, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def replay(path: Path, name: str | None) -> int:
    """Run one input; print what becomes of it, and return 1 if it is a finding."""
    target = TARGETS.get(name or path.resolve().parent.name)
    if target is None:
        raise SystemExit(f"name the target of {path} by --target")
    tally = Tally()
    finding = examine(target, path.read_bytes(), tally)
    if finding is None:
        print("taken" if tally.taken else f"refused with {next(iter(tally.codes))}")
        return 0
    print(f"{finding.key}\n\n{finding.text}")
    return 1


def main(arguments: list[str] | None = None) -> int:
    """Fuzz as the command line says; 1 if there is a finding."""
    parser = argparse.ArgumentParser(prog="run.py", description="Fuzz the parsers of Etui, guided by coverage.")
    parser.add_argument("--target", default="all", choices=["all", *TARGETS], help="by default, each in turn")
    parser.add_argument("--seconds", type=float, default=600, help="for each target (default: 600)")
    parser.add_argument("--jobs", type=int, default=1, help="targets at the same time (default: 1)")
    parser.add_argument("--corpus", type=Path, default=_OUT / "corpus", help="folder to keep corpora in")
    parser.add_argument("--out", type=Path, default=_OUT, help="folder for findings")
    parser.add_argument("--json", action="store_true", help="print the outcomes as JSON, and progress to stderr")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one input, and fuzz nothing")
    options = parser.parse_args(arguments)
    if options.replay is not None:
        return replay(options.replay, None if options.target == "all" else options.target)
    if find_spec("atheris") is None:
        parser.error("atheris is not installed: pip install --group fuzz")
    names = list(TARGETS) if options.target == "all" else [options.target]
    stream = sys.stderr if options.json else sys.stdout

    def fuzz(name: str) -> Outcome:
        return Fuzzing(name, options.seconds, options.corpus, options.out, stream).run()

    with ThreadPoolExecutor(options.jobs) as pool:
        outcomes = list(pool.map(fuzz, names))
    if options.json:
        print(json.dumps([asdict(outcome) for outcome in outcomes], indent=1))
    return int(any(outcome.findings for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
