"""The corpus in every format, converted to every other: all the steps, and the table of what came of it.

    python matrix.py FOLDER [--docs FILE.md]

FOLDER gets the files and `matrix.json`: {source: {target: {"passed", "total", "refused": {code: n},
"different", "wrong": [[case, text], ...]}}}.
The sources are the formats that the frameworks write, the targets those that Etui writes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

known_module = import_module("known")  # beside this script
Known, Sample, bound_of = known_module.Known, known_module.Sample, known_module.bound_of

HERE = Path(__file__).parent
LIBRARY = HERE.parents[1]
FRAMEWORKS = ("keras", "tf_keras")
TO_ETUI = "etui"
KEEPS_TRAINING = ("keras", "keras-h5", "keras-weights", "tf-checkpoint", "tf-savedmodel")
NEEDS_BASE = ("keras-h5-weights", "keras-weights", "keras-json", "tf-checkpoint")
JUDGED = (*NEEDS_BASE, "keras", "keras-h5", "tf-savedmodel", "tfjs-layers")
NODE = "node"
JUDGES = (*FRAMEWORKS, NODE)


@dataclass
class Cell:
    """One pair of formats.

    Attributes:
        passed, total: models.
        refused: code -> models, all of them named in `known`.
        different: models that pass but for a difference named in `known`.
        wrong: what is not to be: (model, what happened).
    """

    passed: int = 0
    total: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    different: int = 0
    wrong: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """What came of one conversion: nothing wrong, a refusal, or a difference.

    Attributes:
        framework, case, source, target: of what; the target is `etui` for the reading.
        text: empty, or what happened, beginning with the code of a refusal or with the check that saw a difference.
        refused: whether Etui refused it.
    """

    framework: str
    case: str
    source: str
    target: str
    text: str
    refused: bool = False


def run(script: str, *arguments: object) -> None:
    """Run a script of this folder in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), *map(str, arguments)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(LIBRARY), os.environ.get("PYTHONPATH", "")]),
            "PYTHONWARNINGS": "ignore",
        },
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{script} ended with {done.returncode}:\n{done.stderr[-4000:]}")


def travel(folder: Path, files: int = 1, share: int = 1) -> list[Outcome]:
    """Build, convert and judge the corpus of both frameworks, two processes at a time.

    Args:
        folder: for all files; a corpus that is there already is used again.
        files: convert one in so many files of each format, and some more that exceptions are about.
        share: let the frameworks judge one in so many of the written files, and some more that exceptions are about.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=2) as two:
        list(two.map(lambda framework: build_and_convert(folder, framework, files), FRAMEWORKS))
        return judged(folder, two, share)


def build_and_convert(folder: Path, framework: str, files: int) -> None:
    """The corpus of one framework, unless it is there, and the conversions of a share of its files."""
    if not (folder / framework / "index.json").exists():
        run("make_corpus.py", framework, folder / framework)
    converted = folder / f"{framework}-converted"
    shutil.rmtree(converted, ignore_errors=True)
    answer = folder / f"{framework}-converted.json"
    run("convert_corpus.py", folder / framework / "index.json", converted, answer, files)


Place = tuple[str, str, str, str]
Asked = dict[str, dict[str, tuple[dict[str, Any], list[Place]]]]


def judged(folder: Path, two: ThreadPoolExecutor, share: int) -> list[Outcome]:
    """The outcome of every conversion, in the order of the sources and the targets."""
    outcomes: list[Outcome] = []
    asked: Asked = {name: {} for name in JUDGES}
    order: dict[tuple[str, str] | str, int] = {TO_ETUI: 0}
    for framework in FRAMEWORKS:
        index = json.loads((folder / framework / "index.json").read_text())
        results = json.loads((folder / f"{framework}-converted.json").read_text())
        bases = bases_of(results)
        for item in results:
            here = (framework, item["case"], item["source"])
            order.setdefault((framework, item["source"]), len(order))
            wrong = item["error"] or (f"values: {item['values']}" if item["values"] else "")
            outcomes.append(Outcome(*here, TO_ETUI, wrong, bool(item["error"])))
            for label, found in item["targets"].items():
                order.setdefault(label, len(order))
                text = found["error"] or (f"lost: {found['lost']}" if found["lost"] else "")
                if text or found["bridge"] not in JUDGED:
                    outcomes.append(Outcome(*here, label, text, bool(found["error"])))
                    continue
                judge = judge_of(framework, item["source"], label)
                job = the_job(item, index[item["case"]], found, (framework, judge), bases)
                if job is None:
                    if (item["case"], f"keras for {judge}") not in bases:
                        continue  # a share of the files without one of the model that would give the base
                    outcomes.append(Outcome(*here, label, "base: no file of the model to load the weights into"))
                    continue
                key = json.dumps({**job, "path": found["digest"]}, sort_keys=True)
                asked[judge].setdefault(key, (job, []))[1].append((*here, label))
    outcomes += verdicts_on(asked, folder, two, share)
    outcomes.sort(key=lambda one: (order[one.framework, one.source], order[one.target]))
    return outcomes


def judge_of(framework: str, source: str, label: str) -> str:
    """Who loads a target: its dialect's framework; tf_keras a SavedModel of a model; else the source's framework."""
    if label == "tfjs-layers":
        return NODE
    if label == "tf-savedmodel" and not source.endswith("export"):
        return "tf_keras"
    return label.partition(" for ")[2] or framework


def bases_of(results: list[dict[str, Any]]) -> dict[tuple[str, str], str]:
    """The whole files that were written of each case, by their label: what a file of weights is loaded into.

    The path is empty where Etui refused to write one.
    """
    whole = [item for item in results if item["source"] != "keras-json" and not item["source"].endswith("export")]
    found: dict[tuple[str, str], str] = {}
    for item in whole:
        for label, written in item["targets"].items():
            found[item["case"], label] = found.get((item["case"], label)) or (
                "" if written["error"] else written["path"]
            )
    return found


def verdicts_on(asked: Asked, folder: Path, two: ThreadPoolExecutor, share: int) -> list[Outcome]:
    """Ask the judges, each in a process of its own."""
    sample = Sample(share, judged=True)
    chosen: Asked = {
        judge: {
            key: (job, those)
            for number, (key, (job, those)) in enumerate(every.items())
            if sample.takes(number, *those)
        }
        for judge, every in asked.items()
    }
    said = dict(zip(JUDGES, two.map(lambda judge: ask(judge, chosen[judge], folder), JUDGES), strict=True))
    outcomes = []
    for judge, jobs in chosen.items():
        for (_, those), verdict in zip(jobs.values(), said[judge], strict=True):
            text = "; ".join(f"{check}: {found}" for check, found in verdict.items() if found)
            outcomes += [Outcome(*that, text) for that in those]
    return outcomes


def ask(judge: str, jobs: dict[str, tuple[dict[str, Any], list[Place]]], folder: Path) -> list[dict[str, str]]:
    """What a judge says of its jobs."""
    todo = [job for job, _ in jobs.values()]
    if judge == NODE:
        found: list[dict[str, str]] = import_module("node_judge").judge(todo)
        return found
    paths = folder / f"{judge}-jobs.json", folder / f"{judge}-verdicts.jsonl"
    paths[0].write_text(json.dumps(todo, indent=1))
    run("judge.py", judge, *paths)
    return [json.loads(line) for line in paths[1].read_text().splitlines()]


def the_job(
    item: Any, info: Any, found: Any, frameworks: tuple[str, str], bases: dict[tuple[str, str], str]
) -> dict[str, Any] | None:
    """The job for the judge of one written file, or nothing if the framework has no whole file of the model."""
    framework, judge = frameworks
    native = judge == framework
    base = info["original"] if native else bases.get((item["case"], f"keras for {judge}"), "")
    if found["bridge"] in NEEDS_BASE and not base:
        return None
    served = item["source"].endswith("export")
    if served:
        base = item["path"] if found["bridge"] == "tf-savedmodel" else ""
    kept = item["training"] == "all" and found["bridge"] in KEEPS_TRAINING
    return {
        "bridge": found["bridge"],
        "path": found["path"],
        "native": native,
        "data": info["data"],
        "base": base,
        "weights": item["source"] != "keras-json" or found["bridge"] == "keras-json",
        "serves": served and found["bridge"] == "tf-savedmodel",
        "training": kept and loads_training(judge, found["bridge"], item["case"]),
        "bound": bound_of(framework, item["case"], judge),
    }


def loads_training(judge: str, bridge: str, case: str) -> bool:
    """Whether a framework restores the optimizer from a format.

    Keras 3 loads none from a legacy file, and tf_keras no legacy optimizer from the two formats that are newer than it.
    """
    if judge == "keras":
        return bridge != "keras-h5"
    return not (case.startswith("legacy_") and bridge in {"keras", "keras-weights"})


def cells(outcomes: list[Outcome], known: Any) -> dict[tuple[str, str], Cell]:
    """Gather the outcomes by source and target."""
    table: dict[tuple[str, str], Cell] = {}
    for outcome in outcomes:
        source = f"{outcome.framework}: {outcome.source}"
        cell = table.setdefault((source, outcome.target), Cell())
        cell.total += 1
        if not outcome.text:
            cell.passed += 1
        elif known.names(outcome):
            if outcome.refused:
                code = outcome.text.partition(":")[0]
                cell.refused[code] = cell.refused.get(code, 0) + 1
            else:
                cell.different += 1
        else:
            cell.wrong.append((outcome.case, outcome.text))
    return table


def rows(table: dict[tuple[str, str], Cell]) -> Iterator[list[str]]:
    """The table as rows of text, the first with the names of the targets."""
    targets = list(dict.fromkeys(target for _, target in table))
    yield ["from \\\\ to", *targets]
    for source in dict.fromkeys(source for source, _ in table):
        yield [source, *(shown(table.get((source, target))) for target in targets)]


def shown(cell: Cell | None) -> str:
    """A cell: passed of total, and what became of the others."""
    if cell is None:
        return "–"
    if cell.refused and sum(cell.refused.values()) == cell.total:
        return ", ".join(f"`{code}`" for code in sorted(cell.refused))
    parts = [f"{cell.passed}/{cell.total}"]
    parts += [f"{number} `{code}`" for code, number in sorted(cell.refused.items())]
    parts += [f"{cell.different} differ"] * bool(cell.different) + [f"**{len(cell.wrong)} wrong**"] * bool(cell.wrong)
    return ", ".join(parts)


def markdown(table: dict[tuple[str, str], Cell], known: Any, files: int, share: int) -> str:
    """The page of the docs; the same outcomes give the same bytes."""
    head, *body = rows(table)
    lines = [INTRODUCTION, shown_share(files, share), "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in body]
    lines += ["", "## Exceptions", "", *known.described(), ""]
    return "\n".join(lines)


def shown_share(files: int, share: int) -> str:
    """Which part of the corpus a table is about."""
    if files == share == 1:
        return "The table shows every file of the corpus, and everything that was written of it."
    return (
        f"The table shows one in {files} of the files of each format, and one in {share} of the different files that "
        "were written of them was loaded and compared; some more of both where an exception names the model."
    )


INTRODUCTION = """# From every format to every other

`refimpl/tests/formats/matrix.py` writes this page. Keras 3.15 (on TensorFlow) and tf_keras 2.21 build the models
and save them in every format that they can write. Etui reads each file in a process where no framework
can be imported; the values are compared bit for bit with those the framework has. From that `.etui`, every format that
Etui writes is written, and what it is for (Keras 3, tf_keras, or TensorFlow.js in Node) loads it, predicts on a fixed
input, and takes the next three training steps where both formats hold the optimizer. Predictions, losses, weights and
optimizer variables must be those of the framework's own reload of its own file, bit for bit; where another framework
computes, within 2e-6 of the largest number, and 4e-5 for losses (TensorFlow.js: 2e-5, predictions only).

A cell is: models that passed / models in all. A code is a refusal, with its reason in SPEC.md; `differ` counts models
with a difference that is named and explained below the table.
"""


def main() -> None:
    """Do it all, print the table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--docs", type=Path, help="write the table as a page of Markdown")
    parser.add_argument("--files", type=int, default=1, help="convert only one in so many files of each format")
    parser.add_argument("--share", type=int, default=1, help="judge only one in so many of the written files")
    given = parser.parse_args()
    known = Known()
    table = cells(travel(given.folder, given.files, given.share), known)
    (given.folder / "matrix.json").write_text(as_json(table))
    if given.docs:
        given.docs.write_text(markdown(table, known, given.files, given.share))
    for row in rows(table):
        sys.stdout.write(" | ".join(row) + "\n")
    for (source, target), cell in table.items():
        for case, text in cell.wrong:
            sys.stdout.write(f"WRONG {source} -> {target}, {case}: {text[:400]}" + "\n")
    for unseen in known.unseen():
        sys.stdout.write(f"UNSEEN {unseen}" + "\n")


def as_json(table: dict[tuple[str, str], Cell]) -> str:
    """The table as JSON, in the order in which it was made."""
    nested: dict[str, dict[str, Any]] = {}
    for (source, target), cell in table.items():
        nested.setdefault(source, {})[target] = {
            "passed": cell.passed,
            "total": cell.total,
            "refused": dict(sorted(cell.refused.items())),
            "different": cell.different,
            "wrong": cell.wrong,
        }
    return json.dumps(nested, indent=1) + "\n"


if __name__ == "__main__":
    main()
