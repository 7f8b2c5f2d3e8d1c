"""Write the vectors of the core vocabulary: what ops, objects and optimizer steps give, by the reference evaluator.

    python conformance/generators/semantics.py            # writes conformance/vectors/core
    python conformance/generators/semantics.py --check    # says what differs, and fails if anything does

Expected numbers are stored as they were computed, in float64. Where a machine computes their last bits otherwise, a
file that is there stays as it is (see `semantics_store.same`), so that nothing changes but by a change of meaning.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import semantics_arithmetic
import semantics_attention
import semantics_elements
import semantics_graphs
import semantics_integers
import semantics_invalid
import semantics_linear
import semantics_losses
import semantics_metrics
import semantics_normalization
import semantics_objects
import semantics_recurrent
import semantics_runs
import semantics_shaping
import semantics_windows
from semantics_cases import Case
from semantics_store import FORMAT, TOLERANCE, Json, packed, same, tensor, written

from etui.core.evaluate import evaluate

_FOLDER = Path(__file__).parents[1] / "vectors" / "core"
_SINCE = "1.0"
_OPS = (
    semantics_graphs,
    semantics_linear,
    semantics_normalization,
    semantics_recurrent,
    semantics_attention,
    semantics_elements,
    semantics_shaping,
    semantics_arithmetic,
    semantics_integers,
)
_OTHERS = (semantics_losses, semantics_metrics, semantics_objects, semantics_runs)


def main() -> int:
    """Write the files, or compare them with those in the folder; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if a file would change")
    check = parser.parse_args().check
    stale = write(files(), check=check)
    print(f"{'stale' if check else 'written'}: {', '.join(stale) or 'none'}")
    return 1 if check and stale else 0


def files() -> dict[str, Json]:
    """Every file of vectors by its name in the folder."""
    found: dict[str, Json] = {}
    for subject, case in every():
        content = found.setdefault(
            f"{subject}.json", {**FORMAT, "subject": subject, "tolerance": TOLERANCE, "cases": []}
        )
        content["cases"].append(case)
    for subject, siblings, refused in (*semantics_invalid.files(), *semantics_windows.files()):
        found[f"{subject}.json"] = {**FORMAT, "subject": subject, "siblings": siblings, "cases": refused}
    return dict(sorted(found.items()))


def every() -> Iterator[tuple[str, Json]]:
    """Each case with what it is about: the name of its file without the end."""
    for family in _OPS:
        for op, case in family.cases():
            yield f"ops/{op}", evaluated(case)
    for others in _OTHERS:
        yield from others.cases()


def evaluated(case: Case) -> Json:
    """A case of the evaluator with its outputs."""
    found = evaluate(case.model, case.inputs, training=case.training, precision=True)
    outputs, variables = found if case.training else (found, {})
    given = [None if one is None else tensor(one) for one in case.inputs]
    results = [tensor(one) for one in leaves(outputs)]
    strings = any(one is not None and one["dtype"] == "string" for one in [*given, *results])
    needs = {*case.needs, *(["dtype:string", "feature:encoding.string"] if strings else [])}
    return {
        "name": case.name,
        "title": case.title,
        "clauses": list(case.clauses),
        "op": "evaluate",
        **({"needs": sorted(needs)} if needs else {}),
        "request": {"artifact": packed(case.model), "inputs": given, "training": case.training},
        "expected": {
            "outputs": results,
            "variables": {path: tensor(array) for path, array in sorted(variables.items())},
        },
    }


def leaves(value: Any) -> Iterator[Any]:
    """The tensors of nested outputs, maps in the order of their keys."""
    if isinstance(value, dict):
        for key in sorted(value):
            yield from leaves(value[key])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def manifest(texts: dict[str, str]) -> Json:
    """What the files hold: each with its digest and its cases, whose ids and clauses a runner may list."""
    entries = []
    for name, text in texts.items():
        content = json.loads(text)
        cases = [
            {
                "id": f"semantics/{content['subject']}/{case['name']}",
                "op": case["op"],
                "clauses": case["clauses"],
                **({"needs": case["needs"]} if "needs" in case else {}),
                "title": case["title"],
            }
            for case in content["cases"]
        ]
        entries.append(
            {
                "file": name,
                "sha256": hashlib.sha256(text.encode()).hexdigest(),
                **({"tolerance": content["tolerance"]} if "tolerance" in content else {}),
                "since": _SINCE,
                "generator": "conformance/generators/semantics.py",
                "cases": cases,
            }
        )
    return {**FORMAT, "files": entries}


def write(contents: dict[str, Json], *, check: bool) -> list[str]:
    """Write what differs from the folder, unless it is only checked; gives the names of what differs."""
    stale, texts = [], {}
    for name, content in contents.items():
        path, text = _FOLDER / name, written(content)
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        texts[name] = old if old and same(json.loads(old), json.loads(text)) else text
        if texts[name] != old:
            stale.append(name)
    texts["manifest.json"] = written(manifest(texts))
    path = _FOLDER / "manifest.json"
    if not path.exists() or path.read_text(encoding="utf-8") != texts["manifest.json"]:
        stale.append("manifest.json")
    old_files = {str(path.relative_to(_FOLDER)) for path in _FOLDER.rglob("*.json")}
    surplus = sorted(old_files - texts.keys())
    if not check:
        for name in stale:
            (_FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
            (_FOLDER / name).write_text(texts[name], encoding="utf-8")
        for name in surplus:
            (_FOLDER / name).unlink()
    return stale + surplus


if __name__ == "__main__":
    sys.exit(main())
