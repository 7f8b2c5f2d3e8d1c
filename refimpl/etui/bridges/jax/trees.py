"""Trees of parameters: the path of each leaf, trees into variables and back (SPEC.md annex N.2).

The path of a leaf is the keys that lead to it, joined by `/`: keys of dicts, indices of sequences, names of
attributes, each escaped as D-3 says. A tree that is a single array has the path `value`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np

from etui.bridges.jax.placing import (
    dtype_of,
    implementation,
    is_key,
    placed_key,
    placed_like,
    stored_dtype,
    tensor_of,
)
from etui.containers.state import Rng, State
from etui.containers.weights import Weights
from etui.errors import error, shown
from etui.model import Model
from etui.paths import escape_segment, unescape_segment
from etui.report import Report

Tree = Any
KeyPath = tuple[Any, ...]
ALONE = "value"


def segment(key: Any) -> str:
    """One step of a key path as a segment of a path."""
    for attribute in ("key", "idx", "name"):
        if hasattr(key, attribute):
            return escape_segment(str(getattr(key, attribute)))
    return escape_segment(str(key))


def path_of(keys: KeyPath) -> str:
    """The path of a leaf."""
    return "/".join(map(segment, keys)) or ALONE


def paths_of(tree: Tree, *, flat: bool = False) -> dict[KeyPath, str]:
    """The path of each leaf by its key path, in the order of JAX.

    Args:
        tree: any pytree.
        flat: the tree is a map whose keys are paths already.

    Raises:
        InvalidError: ``path-collision``, two leaves of one path.
    """
    found: dict[KeyPath, str] = {}
    taken: set[str] = set()
    for keys, _ in jax.tree_util.tree_flatten_with_path(tree)[0]:
        path = str(keys[0].key) if flat else path_of(keys)
        if path in taken:
            raise error("path-collision", where="tree", found=shown(path))
        taken.add(path)
        found[keys] = path
    return found


def key_state(leaf: Any, path: str) -> Rng:
    """The state of typed random keys, with the algorithm by JAX's name for it."""
    name = str(jax.random.key_impl(leaf))
    return Rng(f"jax:{escape_segment(name)}", tensor_of(jax.random.key_data(leaf), path))


def to_model(
    tree: Tree,
    report: Report,
    *,
    trainable: Callable[[str, Any], bool] | None = None,
    role: Callable[[str], str] | None = None,
) -> Model:
    """A tree as variables, and random keys as state.

    Args:
        tree: any pytree of arrays and numbers.
        report: gets an entry for each leaf.
        trainable: of a path and a leaf; by default, whether it is of a floating or complex dtype.
        role: of a path; by default its last segment.

    Raises:
        TransferError: ``jax-leaf``.
        InvalidError: ``path-form``, ``path-collision``.
    """
    weights, state = Weights(), State()
    for keys, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        path = path_of(keys)
        if is_key(leaf):
            state.rng[path] = key_state(leaf, path)
            report.add("state", f"rng/{path}", "restored", state.rng[path].algorithm)
            continue
        flag = _is_inexact(leaf) if trainable is None else trainable(path, leaf)
        name = path.rsplit("/", 1)[-1] if role is None else role(path)
        weights.add(path, tensor_of(leaf, path), role=name, trainable=flag)
        report.add("variable", path, "restored")
    return Model(weights=weights, state=state if state.rng else None)


def _is_inexact(leaf: Any) -> bool:
    return bool(jax.numpy.issubdtype(dtype_of(leaf), jax.numpy.inexact))


def renamed(path: str, names: Mapping[str, str] | Callable[[str], str | None] | None) -> str:
    """The stored path for the path of a leaf, by the caller's map of whole paths or of their beginnings.

    The longest beginning that ends at a `/` counts.
    """
    if names is None:
        return path
    if callable(names):
        return names(path) or path
    if path in names:
        return names[path]
    fitting = [start for start in names if path.startswith(start) and (start.endswith("/") or not start)]
    if not fitting:
        return path
    longest = max(fitting, key=len)
    return names[longest] + path.removeprefix(longest)


Names = Mapping[str, str] | Callable[[str], str | None] | None


def restored(model: Model, like: Tree, report: Report, *, names: Names = None, cast: bool = False) -> Tree:
    """Stored variables in the structure of a tree, each at the leaf of its path.

    What is missing, unexpected or of another shape or dtype is in the report, and its leaf stays as it is in `like`.

    Args:
        model: with the variables and random states.
        like: arrays, or `jax.ShapeDtypeStruct`; what a leaf must be like.
        report: gets an entry for each leaf and for each stored variable.
        names: the stored path for that of a leaf.
        cast: convert to the leaf's dtype, instead of taking another dtype as a mismatch.
    """
    taken: set[str] = set()
    leaves, shape = jax.tree_util.tree_flatten_with_path(like)
    found = [
        restored_leaf(model, renamed(path_of(keys), names), leaf, report, taken, cast=cast) for keys, leaf in leaves
    ]
    account_unused(model, report, taken)
    return shape.unflatten(found)


def account_unused(model: Model, report: Report, taken: Iterable[str]) -> None:
    """An entry for each stored variable and random state that went nowhere."""
    used = set(taken)
    variables = () if model.weights is None else model.weights.variables
    for path in variables:
        if path not in used:
            report.add("variable", path, "unexpected")
    for path in () if model.state is None else model.state.rng:
        if path not in used:
            report.add("state", f"rng/{path}", "unexpected")


def restored_leaf(model: Model, path: str, leaf: Any, report: Report, taken: set[str], *, cast: bool) -> Any:
    """What becomes of one leaf.

    Args:
        model: with the variables and random states.
        path: the stored path.
        leaf: what it must be like, and what it stays where nothing fits.
        report: gets an entry.
        taken: gets the stored path.
        cast: as for `restored`.
    """
    if is_key(leaf):
        return _restored_key(model, path, leaf, report, taken)
    if model.weights is None or path not in model.weights:
        report.add("variable", path, "missing")
        return leaf
    taken.add(model.weights.resolve(path))
    variable = model.weights[path]
    dtype = str(dtype_of(leaf))
    if variable.shape != np.shape(leaf):
        report.add(
            "variable", path, "shape-mismatch", f"{list(variable.shape)}, and the leaf is {list(np.shape(leaf))}"
        )
        return leaf
    stored = stored_dtype(variable.tensor)
    if stored != dtype and not cast:
        report.add("variable", path, "not-transferable", f"{stored}, and the leaf is {dtype}")
        return leaf
    changed = stored != dtype
    report.add("variable", path, "cast" if changed else "restored", f"{stored} to {dtype}" if changed else "")
    return placed_like(variable.tensor, leaf, dtype)


def _restored_key(model: Model, path: str, leaf: Any, report: Report, taken: set[str]) -> Any:
    rng = None if model.state is None else model.state.rng.get(path)
    if rng is None:
        report.add("state", f"rng/{path}", "missing")
        return leaf
    taken.add(path)
    words = jax.eval_shape(jax.random.key_data, jax.ShapeDtypeStruct(leaf.shape, leaf.dtype))
    name = implementation(leaf)
    if rng.algorithm != f"jax:{escape_segment(name)}" or rng.state.shape != words.shape:
        report.add("state", f"rng/{path}", "not-transferable", f"{rng.algorithm}, and the leaf is of {name}")
        return leaf
    report.add("state", f"rng/{path}", "restored", rng.algorithm)
    alone = isinstance(leaf, jax.Array) and len(leaf.sharding.device_set) == 1
    return placed_key(rng.state, name, None if alone else leaf.sharding)


def nested(model: Model, report: Report) -> dict[str, Any]:
    """Stored variables as nested dicts, one level for each segment of a path.

    Raises:
        TransferError: ``jax-leaf``, a variable whose path begins with that of another.
    """
    variables = {} if model.weights is None else model.weights.variables
    return nest({path: as_jax(variable.numpy(), path, report) for path, variable in variables.items()})


def nest(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dicts of leaves by path, one level for each segment.

    Raises:
        TransferError: ``jax-leaf``, a path that begins with another.
    """
    tree: dict[str, Any] = {}
    for path, leaf in leaves.items():
        *above, last = (unescape_segment(part) for part in path.split("/"))
        node = tree
        for part in above:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise error("jax-leaf", where=path, found="a path below that of another variable")
        if last in node:
            raise error("jax-leaf", where=path, found="a path above that of another variable")
        node[last] = leaf
    return tree


def as_jax(array: Any, path: str, report: Report) -> Any:
    """A stored array as one of JAX, which has 64-bit types only where they are enabled; the report says so."""
    made = jax.numpy.asarray(array)
    if made.dtype == array.dtype:
        report.add("variable", path, "restored")
    else:
        report.add("variable", path, "cast", f"{array.dtype} to {made.dtype}: jax_enable_x64 is off")
    return made
