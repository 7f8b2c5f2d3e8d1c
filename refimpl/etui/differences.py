"""Comparing the content of two models: what was added, removed and changed, path by path, and by how much.

Content is what a model means: config, weights, training, optimizer, state, assets, programs and metadata. Where the
data lies (parts and shards) and the source framework's own documents are compared too, but do not count: the neutral
documents are in force (SPEC.md N-4).
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from etui._version import SPEC_VERSION
from etui.canonical import values
from etui.containers import config as config_container
from etui.containers import optimizer as optimizer_container
from etui.containers import state as state_container
from etui.containers import training as training_container
from etui.containers import weights as weights_container
from etui.containers.data_writer import Progress
from etui.containers.encodings import FLOATS
from etui.containers.tensors import Tensor
from etui.conversion import read
from etui.errors import without_secrets
from etui.limits import DEFAULT_LIMITS, Limits
from etui.locating import naming
from etui.model import Blob, Model
from etui.storage.urls import Options
from etui.tensor_differences import ValueDifference, compare
from etui.tree_differences import Json, relabelled, short_text, tree_changes

NOT_COUNTED = frozenset({"layout", "native"})
_NOWHERE: defaultdict[str, tuple[Any, ...]] = defaultdict(tuple)
"""Places no tensor anywhere: documents are encoded without the place of their data."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        area: ``config``, ``weights``, ``training``, ``optimizer``, ``state``, ``assets``, ``programs``, ``metadata``;
            or one that does not count: ``layout``, ``native``.
        subject: path of the module or variable, name of the tensor, part or field; empty for the root module.
        kind: ``added`` (only b has it), ``removed`` (only a has it) or ``changed``.
        field: the place within the subject; empty for all of it; ``values`` for the elements of a tensor.
        a, b: both sides as text, shortened; empty where there is nothing to show.
        values: how the elements differ.
    """

    area: str
    subject: str
    kind: str
    field: str = ""
    a: str = ""
    b: str = ""
    values: ValueDifference | None = None

    def as_json(self) -> dict[str, Any]:
        """As the schema `cli/diff.schema.json` describes it."""
        return {
            "area": self.area,
            "subject": self.subject,
            "kind": self.kind,
            "field": self.field,
            "a": self.a,
            "b": self.b,
            "values": self.values and self.values.as_json(),
        }

    def __str__(self) -> str:
        place = f"{self.subject or '(root)'}{f' {self.field}' if self.field else ''}"
        if self.values is not None:
            return f"{place}: {self.values}"
        if self.kind == "changed" and (self.a or self.b):
            return f"{place}: {self.a} -> {self.b}"
        shown = self.a or self.b
        return f"{place}: {self.kind}{f', {shown}' if shown else ''}"


@dataclass(slots=True)
class Difference:
    """All differences between the models a and b.

    Attributes:
        a, b: what was compared, for people.
        identities: digests of both manifests; `None` for what is no artifact.
        changes: in the order of the areas.
        tensors: number of pairs of tensors whose elements were compared.
    """

    a: str
    b: str
    identities: tuple[str | None, str | None]
    changes: list[Change] = field(default_factory=list)
    tensors: int = 0

    @property
    def same(self) -> bool:
        """Whether the content is the same; see `NOT_COUNTED`."""
        return all(change.area in NOT_COUNTED for change in self.changes)

    @property
    def identical(self) -> bool:
        """Whether both are artifacts of one identity."""
        return self.identities[0] is not None and self.identities[0] == self.identities[1]

    def counts(self) -> dict[str, int]:
        """Area -> number of changes."""
        return dict(Counter(change.area for change in self.changes))

    def as_json(self) -> dict[str, Any]:
        """The result as the schema `cli/diff.schema.json` describes it."""
        return {
            "format": "etui-difference",
            "version": SPEC_VERSION,
            "a": self.a,
            "b": self.b,
            "same": self.same,
            "identical": self.identical,
            "identities": list(self.identities),
            "tensors": self.tensors,
            "counts": self.counts(),
            "changes": [change.as_json() for change in self.changes],
        }


def diff(
    a: Model | str | os.PathLike[str],
    b: Model | str | os.PathLike[str],
    *,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
    storage_options: Options | None = None,
) -> Difference:
    """Compare two models; every element of every tensor is compared.

    Args:
        a: a model, a file or folder of any known format, or the URL of one.
        b: the other, in the same way.
        progress: called as (tensor, bytes done, bytes in all).
        limits: refuse what is beyond these.
        storage_options: of the file systems of URLs, as fsspec takes them, or by protocol where there are two.

    Raises:
        UsageError: ``format-unknown``.
        RejectError: the content of either is refused.
        MissingExtraError: a format needs an optional dependency that is not installed.
        StorageError: either cannot be read.
    """
    with ExitStack() as stack:
        names, models = [], []
        for side in (a, b):
            names.append("<model>" if isinstance(side, Model) else without_secrets(os.fspath(side)))
            if isinstance(side, Model):
                models.append(side)
            else:
                models.append(stack.enter_context(read(side, limits=limits, storage_options=storage_options)[0]))
        first, second = models
        difference = Difference(names[0], names[1], (first.digest, second.digest))
        for area, one, two in _areas(first, second):
            difference.changes += _changes(area, one, two)
        difference.changes += _order_changes(first, second)
        difference.changes += _blob_changes(first, second)
        pairs = list(_pairs(first, second))
        difference.tensors = len(pairs)
        difference.changes += _value_changes(pairs, names, progress)
        difference.changes.sort(key=lambda change: _AREAS.index(change.area))
        return difference


def _areas(first: Model, second: Model) -> Iterator[tuple[str, dict[str, Json], dict[str, Json]]]:
    """Each area that both have, as subject -> tree; a document that one lacks is one change."""
    for area, contents in _CONTENTS.items():
        one, two = contents(first), contents(second)
        if one is not None and two is not None:
            yield area, one, two
        elif area != "layout" and one is not two:
            whole = {f"all of {area}": "there"}
            yield area, {} if one is None else whole, {} if two is None else whole


def _config(model: Model) -> dict[str, Json] | None:
    if model.config is None:
        return None
    found: dict[str, Json] = {}

    def visit(node: dict[str, Json], path: str) -> None:
        children = node.get("modules", [])
        found[path] = {**node, "modules": [child["name"] for child in children]}
        for child in children:
            visit(child, f"{path}/{child['name']}" if path else child["name"])

    visit(relabelled(config_container.encode(model.config, SPEC_VERSION)["model"]), "")
    return found


def _weights(model: Model) -> dict[str, Json] | None:
    if model.weights is None:
        return None
    tree = weights_container.encode(model.weights, _NOWHERE, SPEC_VERSION)
    variables = {path: _entry(entry) for path, entry in tree["variables"].items()}
    return variables | {path: {"alias": target} for path, target in tree["aliases"].items()}


def _training(model: Model) -> dict[str, Json] | None:
    if model.training is None:
        return None
    tree = relabelled(training_container.encode(model.training, SPEC_VERSION))
    return _without(tree, "format", "version")


def _optimizer(model: Model) -> dict[str, Json] | None:
    if model.optimizer is None:
        return None
    tree = relabelled(values.json_view(optimizer_container.encode(model.optimizer, _NOWHERE, SPEC_VERSION)))
    optimizers: dict[str, Json] = _without_stored(tree["optimizers"])
    return optimizers | _tensor_entries(tree)


def _state(model: Model) -> dict[str, Json] | None:
    if model.state is None:
        return None
    tree = relabelled(values.json_view(state_container.encode(model.state, _NOWHERE, SPEC_VERSION)))
    content: dict[str, Json] = _without_stored(_without(tree, "format", "version", "tensors"))
    return content | _tensor_entries(tree)


def _metadata(model: Model) -> dict[str, Json]:
    return {name: values.to_json(value) for name, value in model.metadata.items()}


def _layout(model: Model) -> dict[str, Json] | None:
    if model.manifest is None:
        return None
    return {"parts": {name: entry.role for name, entry in model.manifest.parts.items()}, "version": model.version}


_CONTENTS: dict[str, Callable[[Model], dict[str, Json] | None]] = {
    "config": _config,
    "weights": _weights,
    "training": _training,
    "optimizer": _optimizer,
    "state": _state,
    "metadata": _metadata,
    "layout": _layout,
}
_BLOBS: dict[str, Callable[[Model], Mapping[str, Blob]]] = {
    "assets": lambda model: model.assets,
    "programs": lambda model: model.programs,
    "native": lambda model: {name: native.blob for name, native in model.native.items()},
}
_AREAS = ("config", "weights", "training", "optimizer", "state", "assets", "programs", "metadata", "layout", "native")


def _without(tree: Mapping[str, Json], *names: str) -> dict[str, Json]:
    return {name: item for name, item in tree.items() if name not in names}


def _entry(tree: Mapping[str, Json]) -> dict[str, Json]:
    """A tensor's entry without the place of its data; the components of most encodings follow from the elements."""
    kept = _without(tree, "chunks", "order", "components")
    if tree.get("encoding") == "quantized":
        kept["components"] = {name: _entry(part) for name, part in tree["components"].items()}
    return kept


def _without_stored(tree: Json) -> Json:
    """A JSON view without its references to tensors, which are compared by name."""
    if isinstance(tree, list):
        return [_without_stored(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    kept = {
        key: _without_stored(item) for key, item in tree.items() if not (isinstance(item, dict) and "$stored" in item)
    }
    return {key: item for key, item in kept.items() if item != {} or tree[key] == {}}


def _tensor_entries(tree: dict[str, Json]) -> dict[str, Json]:
    return {name: _entry(entry) for name, entry in tree["tensors"].items()}


def _changes(area: str, one: Mapping[str, Json], two: Mapping[str, Json]) -> Iterator[Change]:
    for subject, tree in one.items():
        if subject not in two:
            yield Change(area, subject, "removed", a=short_text(tree))
        else:
            for kind, place, a, b in tree_changes(tree, two[subject], ""):
                yield Change(area, subject, kind, place, a, b)
    for subject, tree in two.items():
        if subject not in one:
            yield Change(area, subject, "added", b=short_text(tree))


def _order_changes(first: Model, second: Model) -> Iterator[Change]:
    """One change if the variables of both are in another order; each one's number would only repeat it."""
    if first.weights is None or second.weights is None:
        return
    one = [path for path in first.weights if path in second.weights.variables]
    two = [path for path in second.weights if path in first.weights.variables]
    for a, b in zip(one, two, strict=True):
        if a != b:
            yield Change("weights", "order of the variables", "changed", a=f"… {a} …", b=f"… {b} …")
            return


def _blob_changes(first: Model, second: Model) -> Iterator[Change]:
    for area, blobs in _BLOBS.items():
        one, two = blobs(first), blobs(second)
        for name, blob in one.items():
            if name not in two:
                yield Change(area, name, "removed", a=f"{blob.size} bytes")
            elif blob.size != two[name].size or blob.view() != two[name].view():
                yield Change(area, name, "changed", a=f"{blob.size} bytes", b=f"{two[name].size} bytes")
        for name, blob in two.items():
            if name not in one:
                yield Change(area, name, "added", b=f"{blob.size} bytes")


Pair = tuple[str, str, Tensor, Tensor]


def _pairs(first: Model, second: Model) -> Iterator[Pair]:
    """The tensors that can be compared element by element: area, name, and both sides."""
    others = {(area, name): tensor for area, name, tensor in second.stored_tensors()}
    for area, name, tensor in first.stored_tensors():
        other = others.get((area, name))
        if other is not None:
            yield from _comparable(area, name, tensor, other)


def _comparable(area: str, name: str, one: Tensor, two: Tensor) -> Iterator[Pair]:
    if one.encoding == two.encoding == "quantized":
        # Equal elements may have different values and scales, which the next update would show.
        for key, part in one.components.items():
            if key in two.components:
                yield from _comparable(area, f"{name}#{key}", part, two.components[key])
    elif one.shape == two.shape and (one.dtype == two.dtype or {one.dtype, two.dtype} <= FLOATS):
        yield area, name, one, two


def _value_changes(pairs: list[Pair], names: list[str], progress: Progress | None) -> Iterator[Change]:
    """The changes of elements. Both sides are read, and so verified, whatever their stored digests say."""
    total = sum(one.nbytes for _, _, one, _ in pairs)
    done = 0
    for area, name, one, two in pairs:
        with naming(names[0]):
            first = one.numpy()
        with naming(names[1]):
            second = two.numpy()
        found = compare(first, second)
        if found is not None:
            yield Change(area, name, "changed", "values", values=found)
        done += one.nbytes
        if progress is not None:
            progress(name, done, total)
