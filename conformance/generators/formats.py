"""Makes the vectors of foreign formats: what a conversion of each source must give.

    python conformance/generators/formats.py           writes conformance/vectors/formats
    python conformance/generators/formats.py --check   says what differs from what is there; exit code 1 if any does

The sources are files that frameworks wrote, listed in formats.toml; formats_faults_*.py make one fault in some of them;
formats_clauses/ says which vectors show which clause. What is expected comes from the reference library, whose results
the project's tests compare with what the frameworks themselves load.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import etui

HERE = Path(__file__).parent
FOLDER = HERE.parent / "vectors" / "formats"
SOURCES = FOLDER / "sources"
MANIFEST = "manifest.json"
SINCE = "1.0"

SUFFIXES = {
    "etui": ".etui",
    "keras": ".keras",
    "keras-h5": ".h5",
    "keras-h5-weights": ".h5",
    "keras-weights": ".weights.h5",
    "keras-json": ".json",
    "keras-weights-index": ".weights.json",
}

Files = dict[str, bytes]
Entry = dict[str, Any]


def main(arguments: list[str]) -> int:
    """Write the vectors, or compare them with what would be written."""
    made = dict(generated())
    there = {
        path.relative_to(FOLDER).as_posix(): path.read_bytes()
        for path in FOLDER.rglob("*")
        if path.is_file() and not path.is_relative_to(SOURCES)
    }
    wrong = sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))
    if arguments == ["--check"]:
        for name in wrong:
            print(f"{name}: {'surplus' if name not in made else 'missing' if name not in there else 'differs'}")
        return 1 if wrong else 0
    for name in wrong:
        (FOLDER / name).unlink(missing_ok=True)
        if name in made:
            (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
            (FOLDER / name).write_bytes(made[name])
    return 0


def generated() -> Iterator[tuple[str, bytes]]:
    """Every file of the vectors but the sources, with its bytes."""
    entries: list[Entry] = []
    numbers: dict[str, str] = {}
    for number, source in enumerate(sources(), start=1):
        name = f"formats/{number:04}"
        numbers.setdefault(source["path"], name)
        for entry, files in vectors_of(name, source):
            entries.append(entry)
            yield from files.items()
    for family in sorted(HERE.glob("formats_faults_*.py")):
        for number, fault in enumerate(import_module(family.stem).FAULTS, start=1):
            name = f"formats/{family.stem.removeprefix('formats_faults_')}-{number:03}"
            entry, files = faulty(name, fault, numbers[fault.sibling])
            entries.append(entry)
            yield from files.items()
    cite(entries)
    manifest = {"format": "etui-conversion-vectors", "version": "1.0", "vectors": entries}
    yield MANIFEST, (json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()


def sources() -> list[dict[str, Any]]:
    """The sources as formats.toml lists them."""
    listed: list[dict[str, Any]] = tomllib.loads((HERE / "formats.toml").read_text(encoding="utf-8"))["source"]
    return listed


def cite(entries: list[Entry]) -> None:
    """Give the vectors the clauses that formats_clauses/ says they show."""
    by_id = {entry["id"]: entry for entry in entries}
    for path in sorted((HERE / "formats_clauses").glob("*.toml")):
        for clause, shown in tomllib.loads(path.read_text(encoding="utf-8")).items():
            for name in shown:
                by_id[name]["clauses"].append(clause)
    for entry in entries:
        entry["clauses"] = sorted(dict.fromkeys(entry["clauses"]))


def faulty(name: str, fault: Any, sibling: str) -> tuple[Entry, Files]:
    """The vector of a source with one fault."""
    place = f"faults/{name.removeprefix('formats/')}"
    edited = fault.edit(files_of(fault.sibling))
    files = {f"{place}/{file}": data for file, data in edited.items()}
    return {
        "class": fault.error_class,
        "clauses": list(fault.clauses),
        "code": fault.code,
        "files": {file: hashlib.sha256(data).hexdigest() for file, data in files.items()},
        "format": fault.format,
        "id": name,
        "name": fault.name,
        "result": "reject",
        "sibling": sibling,
        "since": SINCE,
        "source": f"{place}/{Path(fault.sibling).name}" if not (SOURCES / fault.sibling).is_dir() else place,
        "to": fault.to,
    }, files


def files_of(path: str) -> Files:
    """The files of a source by their paths below the folder that holds them: one, those of a folder or a prefix."""
    source = SOURCES / path
    if source.is_dir():
        return {
            one.relative_to(source).as_posix(): one.read_bytes() for one in sorted(source.rglob("*")) if one.is_file()
        }
    is_one = source.is_file() and not path.endswith(".weights.json")
    found = [source] if is_one else sorted(source.parent.iterdir())
    if not found:
        raise FileNotFoundError(path)
    return {one.name: one.read_bytes() for one in found}


def vectors_of(name: str, source: Mapping[str, Any]) -> Iterator[tuple[Entry, Files]]:
    """The vectors of one source: read, read into the core vocabulary, and written to each target."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        options = {"config": str(SOURCES / source["config"])} if "config" in source else {}
        common: Entry = {
            "clauses": [],
            "files": _digests(source),
            "format": source["format"],
            "name": source["name"],
            "since": SINCE,
            "source": f"sources/{source['path']}",
        }
        if "config" in source:
            common["config"] = f"sources/{source['config']}"
        read = folder / "read.etui"
        yield _reading(name, common, SOURCES / source["path"], read, options)
        if source.get("core"):
            options["vocabulary"] = "core"
            listed = {**common, "clauses": [], "options": {"vocabulary": "core"}}
            yield _reading(f"{name}-core", listed, SOURCES / source["path"], folder / "core.etui", options)
        for target in source["targets"]:
            yield _writing(name, source["name"], read, folder, target), {}
        for target in source.get("core_targets", []):
            yield _writing(f"{name}-core", f"{source['name']}, in core terms", folder / "core.etui", folder, target), {}


def _reading(name: str, common: Entry, path: Path, target: Path, options: dict[str, Any]) -> tuple[Entry, Files]:
    report = etui.convert(path, target, to="etui", strict=False, **options)
    data = target.read_bytes()
    file = f"{name.removeprefix('formats/')}.etui"
    entry = {
        **common,
        "expected": file,
        "id": name,
        "identity": _identity(target),
        "report": reported(report),
        "result": "ok",
        "sha256": hashlib.sha256(data).hexdigest(),
        "to": "etui",
    }
    return entry, {file: data}


def _writing(name: str, title: str, read: Path, folder: Path, target: str) -> Entry:
    """The vector of writing an etui to a format: its report, and what is read again."""
    to, _, given = target.partition(":")
    options: dict[str, Any] = dict(option.split("=") for option in given.split(",") if option)
    label = "-".join([to, *options.values()])
    # One format has two forms, which are told by the name of the target.
    form = options.pop("form", "")
    suffix = SUFFIXES.get(f"{to}-{form}" if form else to, "")
    written = folder / f"{name.rpartition('/')[2]}-{label}{suffix}"
    report = etui.convert(read, written, to=to, strict=False, **options)
    again = written
    if to != "etui":
        again = folder / f"{written.name}.again.etui"
        etui.convert(written, again, to="etui", strict=False)
    entry: Entry = {
        "clauses": [],
        "format": to,
        "id": f"{name}-{label}",
        "identity": _identity(again),
        "name": f"{title}; written as {' for '.join([label if form else to, *options.values()])}",
        "report": reported(report),
        "result": "ok",
        "since": SINCE,
        "source": f"{name.removeprefix('formats/')}.etui",
        "suffix": suffix,
        "to": to,
        "writes": True,
    }
    return entry | ({"options": options} if options else {})


def reported(report: etui.Report) -> list[str]:
    """What an account says of each item, a line each in an order of its own: status, kind, subject."""
    return sorted(f"{entry.status} {entry.kind} {entry.subject}" for entry in report.entries)


def _identity(path: Path) -> str | None:
    with etui.open(path) as model:
        return model.digest


def _digests(source: Mapping[str, Any]) -> dict[str, str]:
    """The SHA-256 of each file of a source and of its config."""
    found: dict[str, str] = {}
    for path in filter(None, (source["path"], source.get("config"))):
        place = (SOURCES / path) if (SOURCES / path).is_dir() else (SOURCES / path).parent
        for file, data in files_of(path).items():
            name = (place / file).relative_to(FOLDER).as_posix()
            found[name] = hashlib.sha256(data).hexdigest()
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
