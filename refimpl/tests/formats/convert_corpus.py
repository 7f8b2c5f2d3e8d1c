"""Converts the files of the corpus to Etui and from there to every format, where no framework can be imported.

    python convert_corpus.py INDEX.json FOLDER RESULT.json [SHARE]

With a share, one in so many of the files of each format, and some more that exceptions are about. RESULT.json is a
list with one item for each file:

    {"case", "source", "training", "path", "error", "values", "targets": {label: {"path", "error", "lost", "digest"}}}

`error` is the code of the refusal and its text, or empty; `values` says where the values that Etui read differ from
those that the framework has, bit for bit.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

arrays = import_module("arrays")  # beside this script

FRAMEWORKS = ("flax", "jax", "jaxlib", "keras", "tensorflow", "tensorflowjs", "tf_keras", "torch")
WITHOUT_WEIGHTS = ("keras-json",)
WITHOUT_NAMES = ("tf-savedmodel, export",)  # holds the variables in lists, of all and of those that are trained
SHARD_BYTES = 2600


class NoFrameworks(MetaPathFinder):
    """Refuses every import of a framework, as on a machine that has none."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:  # noqa: ARG002
        if fullname.partition(".")[0] in FRAMEWORKS:
            raise ImportError(f"{fullname} is not to be imported here")


@dataclass(frozen=True)
class Target:
    """One way of writing: a format, the dialect where it exists in both, and further options."""

    label: str
    bridge: str
    name: str
    options: dict[str, Any] = field(default_factory=dict)


def targets() -> list[Target]:
    """Every way in which Etui can write models of Keras, from its own list of formats."""
    from etui.bridges import bridges

    found = []
    for bridge in bridges():
        if not bridge.holds_keras:
            continue
        name = "model" + (bridge.suffixes[0] if bridge.suffixes else "" if bridge.folder else ".h5")
        both = ("keras", "tf_keras") if "dialect" in bridge.options else (None,)
        for dialect in both:
            label = bridge.name + (f" for {dialect}" if dialect else "")
            found.append(Target(label, bridge.name, name, {"dialect": dialect} if dialect else {}))
        if bridge.name == "keras-weights":  # an index of files, which only Keras 3 has
            options = {"shard_size": SHARD_BYTES, "dialect": "keras"}
            found.append(Target("keras-weights, sharded for keras", bridge.name, "model.weights.json", options))
    return found


def convert(case: str, source: str, info: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Take one file to Etui, compare its values, and write every format from there."""
    import etui

    about = info["files"][source]
    middle = folder / "model.etui"
    result: dict[str, Any] = {"case": case, "source": source, "values": "", "error": "", "targets": {}, **about}
    try:
        etui.convert(about["path"], middle, **config_of(source, info))
        with etui.open(middle) as model:
            if source not in WITHOUT_WEIGHTS:
                result["values"] = compare(model, info, about["training"], named=source not in WITHOUT_NAMES)
    except Exception as error:
        result["error"] = told(error)
        return result
    for target in targets():
        path = folder / target.label.replace(" ", "-").replace(",", "") / target.name
        path.parent.mkdir(parents=True)
        written: dict[str, Any] = {"bridge": target.bridge, "path": str(path), "error": "", "lost": [], "digest": ""}
        try:
            report = etui.convert(middle, path, to=target.bridge, **target.options)
            written["lost"] = [f"{entry.kind} {entry.subject}" for entry in report.lost]
            written["digest"] = digest_of(path)
        except Exception as error:
            written["error"] = told(error)
        result["targets"][target.label] = written
    return result


def config_of(source: str, info: dict[str, Any]) -> dict[str, Any]:
    """The option that names the config of a format which holds weights only."""
    from etui.bridges import by_name

    bridge = by_name(source.partition(",")[0])
    return {"config": info["original"]} if getattr(bridge, "takes_config", False) else {}


def told(error: Exception) -> str:
    """The code of a refusal with its text, or a failure that is none."""
    code = getattr(error, "code", None)
    return f"{code}: {error}" if code else f"failure: {type(error).__name__}: {error}"


def digest_of(path: Path) -> str:
    """A digest of the bytes of everything written, so that what is the same is judged once."""
    digest = hashlib.sha256()
    for file in sorted(found for found in path.parent.rglob("*") if found.is_file()):
        digest.update(str(file.relative_to(path.parent)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def compare(model: Any, info: dict[str, Any], training: str, *, named: bool) -> str:
    """Where the values of a model differ from the framework's: by layer, trained or not, and bit for bit."""
    theirs = arrays.load(info["data"])
    left = [(path, variable.trainable, variable.numpy()) for path, variable in dict(model.weights or {}).items()]
    for (layers, trained), value in zip(info["weights"], theirs["weights"], strict=True):
        found = (
            index
            for index, (path, trainable, mine) in enumerate(left)
            if same(mine, value) and (not named or (path.startswith(layers) and trainable == trained))
        )
        index = next(found, None)
        if index is None:
            return f"no variable of {layers!r}, trained {trained}, {value.dtype}{list(value.shape)} has the values"
        del left[index]
    if left and named:
        return f"the framework has no {[path for path, _, _ in left]}"
    return compare_slots(model, theirs["in memory"]) if training == "all" else ""


def compare_slots(model: Any, theirs: list[Any]) -> str:
    """Where the arrays of the optimizer differ; numbers that stand alone show in the next losses."""
    expected = Counter(bits(value) for value in theirs if value.size > 1)
    found = Counter(bits(value) for value in slots(model) if value.size > 1)
    extra = found - expected
    if expected <= found and extra.keys() <= expected.keys():  # tf_keras stores those of a loss scaler twice
        return ""
    return f"{sum((expected - found).values())} optimizer arrays are missing, {sum(extra.values())} are new"


def slots(model: Any) -> Iterator[Any]:
    """Every array in the optimizers of a model: by variable, of the whole, and those only the framework understands."""
    for _, optimizer in model.optimizer.walk() if model.optimizer else []:
        yield from arrays_in([optimizer.slots, optimizer.shared_slots, optimizer.residue])


def arrays_in(value: Any) -> Iterator[Any]:
    """The arrays in nested dicts and lists of tensors."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from arrays_in(item)
    elif hasattr(value, "numpy"):
        yield value.numpy()


def bits(value: Any) -> tuple[str, tuple[int, ...], bytes]:
    """An array as something to count."""
    return value.dtype.name, value.shape, value.tobytes()


def same(one: Any, two: Any) -> bool:
    """Whether two arrays are equal by dtype, shape and bits."""
    return bits(one) == bits(two)


def chosen(index: dict[str, Any], framework: str, share: int) -> Iterator[tuple[str, str]]:
    """Case and label of the files to convert: of each format one in so many, and more for exceptions."""
    sample = import_module("known").Sample(share, judged=False)  # beside this script
    seen: Counter[str] = Counter()
    for case, info in index.items():
        for source in info["files"]:
            offset = list(seen).index(source) if source in seen else len(seen)
            if sample.takes(seen[source] + offset, (framework, case, source, None)):
                yield case, source
            seen[source] += 1


def main(index: str, folder: str, answer: str, share: str = "1") -> None:
    """Convert the files of the index, and make sure that no framework was there."""
    sys.meta_path.insert(0, NoFrameworks())
    from etui.bridges import bridges

    known = {bridge.name for bridge in bridges()}
    results = []
    models = json.loads(Path(index).read_text())
    for case, source in chosen(models, Path(index).parent.name, int(share)):
        if source.partition(",")[0] in known:
            place = Path(folder, case, source.replace(" ", "-").replace(",", ""))
            place.mkdir(parents=True)
            results.append(convert(case, source, models[case], place))
    if found := [name for name in FRAMEWORKS if name in sys.modules]:
        raise SystemExit(f"these frameworks were imported: {found}")
    Path(answer).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
