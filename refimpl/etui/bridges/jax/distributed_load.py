"""Stored variables onto the devices of several processes, each its own part (SPEC.md, annex R)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from etui.bridges.jax import placing, trees
from etui.bridges.jax.trees import Names, Tree
from etui.containers.tensors import Tensor
from etui.errors import error, shown
from etui.model import Model
from etui.paths import unescape_segment
from etui.report import Report

StrPath = str | os.PathLike[str]
_JAX_RNG = "jax:"


def load(
    source: Any, like: Tree, names: Names, *, mesh: Any, specs: Any, cast: bool, strict: bool, report: Report
) -> Tree:
    """Load a tree; see `etui.jax.load_distributed`."""
    if mesh is None and specs is not None:
        raise error("jax-argument", found="specs without a mesh")
    shardings = None if mesh is None else _Shardings.of(mesh, specs)
    with _opened(source, report) as model:
        if model.optimizer is not None:
            report.add("optimizer", "optimizer", "left-out", "`load_optimizer` and `load_opt_state` load it")
        tree = _tree(model, like, shardings, names, report, cast=cast)
    if shardings is not None:
        shardings.check_used()
    if strict:
        report.require_complete()
    return tree


@contextmanager
def _opened(source: Any, report: Report) -> Iterator[Model]:
    """The model of a source; one that the caller gave stays open."""
    if isinstance(source, Model):
        yield source
        return
    if isinstance(source, str | os.PathLike):
        from etui.conversion import read

        report.source, report.target = os.fspath(source), "jax"
        model, _ = read(source, report=report, native=False)
    else:
        report.source, report.target = shown(source), "jax"
        model = source.open()
    with model:
        yield model


def _tree(model: Model, like: Tree, shardings: _Shardings | None, names: Names, report: Report, *, cast: bool) -> Tree:
    if like is None:
        return trees.nest(dict(_leaves(model, shardings, report)))
    if shardings is None:
        return trees.restored(model, like, report, names=names, cast=cast)
    wanted = trees.restored(model, _structures(like, shardings), report, names=names, cast=cast)
    # What nothing was stored for stays as it is.
    return jax.tree.map(lambda found, leaf: leaf if isinstance(found, jax.ShapeDtypeStruct) else found, wanted, like)


def _structures(like: Tree, shardings: _Shardings) -> Tree:
    """What each leaf is to be like, under a sharding of the caller's."""
    leaves, shape = jax.tree_util.tree_flatten_with_path(like)
    made = []
    for keys, leaf in leaves:
        if not hasattr(leaf, "shape"):  # a number stays one
            made.append(leaf)
            continue
        sharding = shardings.of_variable(trees.path_of(keys), tuple(leaf.shape))
        dtype = leaf.dtype if placing.is_key(leaf) else jax.dtypes.canonicalize_dtype(leaf.dtype)
        made.append(jax.ShapeDtypeStruct(leaf.shape, dtype, sharding=sharding))
    return shape.unflatten(made)


def _leaves(model: Model, shardings: _Shardings | None, report: Report) -> Iterator[tuple[str, Any]]:
    """Path and array of each stored variable and of the random keys of JAX."""
    for path, variable in () if model.weights is None else model.weights.variables.items():
        yield path, _placed(path, variable.tensor, shardings, report)
    for path, rng in () if model.state is None else model.state.rng.items():
        name = _implementation(rng.algorithm)
        if name is None or jax.eval_shape(partial(_words, name)).shape != rng.state.shape[-1:]:
            report.add("state", f"rng/{path}", "left-out", f"{rng.algorithm}, which JAX does not have")
            continue
        sharding = None if shardings is None else shardings.of_variable(path, rng.state.shape[:-1])
        report.add("state", f"rng/{path}", "restored", rng.algorithm)
        yield path, placing.placed_key(rng.state, name, sharding)


def _implementation(algorithm: str) -> str | None:
    """JAX's name for the algorithm of a random state, if it is one of JAX."""
    name = unescape_segment(algorithm.removeprefix(_JAX_RNG))
    try:
        jax.eval_shape(partial(_words, name))
    except ValueError:
        return None
    return name if algorithm.startswith(_JAX_RNG) else None


def _words(name: str) -> Any:
    return jax.random.key_data(jax.random.key(0, impl=name))


def _placed(path: str, tensor: Tensor, shardings: _Shardings | None, report: Report) -> Any:
    if shardings is None or tensor.dtype in ("string", "bytes"):
        report.add("variable", path, "restored")
        return np.array(tensor.numpy())
    stored = placing.stored_dtype(tensor)
    wanted = str(jax.dtypes.canonicalize_dtype(stored))
    changed = f"{stored} to {wanted}: jax_enable_x64 is off"
    report.add("variable", path, "restored" if wanted == stored else "cast", "" if wanted == stored else changed)
    sharding = shardings.of_variable(path, tensor.shape)
    return placing.placed_like(tensor, jax.ShapeDtypeStruct(tensor.shape, wanted, sharding=sharding), wanted)


@dataclass(slots=True)
class _Shardings:
    """How the caller wants variables spread.

    Attributes:
        mesh: of devices.
        rules: path of a variable, or of what is above it -> its spec; or a function of path and shape.
        used: the paths in `rules` that were needed.
    """

    mesh: Mesh
    rules: Mapping[str, Any] | Callable[[str, tuple[int, ...]], Any]
    used: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, mesh: Any, specs: Any) -> _Shardings:
        """The caller's arguments, checked.

        Raises:
            UsageError: ``jax-argument``.
        """
        if not isinstance(mesh, Mesh):
            raise error("jax-argument", found=f"mesh={shown(mesh)}")
        if callable(specs):
            return cls(mesh, specs)
        leaves = jax.tree_util.tree_flatten_with_path(specs, is_leaf=_is_spec)[0]
        return cls(mesh, {trees.path_of(keys) if keys else "": _spec(spec) for keys, spec in leaves})

    def of_variable(self, path: str, shape: tuple[int, ...]) -> NamedSharding:
        """The sharding of one variable: that of the longest path that leads to it."""
        spec = self._spec_of(path, shape)
        try:
            sharding = NamedSharding(self.mesh, spec)
        except ValueError as fault:  # an axis that the mesh does not have
            raise error("jax-sharding", where=path, found=shown(str(fault), 300)) from fault
        placing.check_sharding(sharding, shape, path)
        return sharding

    def _spec_of(self, path: str, shape: tuple[int, ...]) -> PartitionSpec:
        if not isinstance(self.rules, Mapping):
            return _spec(self.rules(path, shape))
        above = path
        while above not in self.rules:
            if not above:
                return PartitionSpec()
            above = above.rpartition("/")[0]
        self.used.add(above)
        found: PartitionSpec = self.rules[above]
        return found

    def check_used(self) -> None:
        """Whether each path of the caller's leads to a variable.

        Raises:
            UsageError: ``jax-argument``.
        """
        unused = set() if not isinstance(self.rules, Mapping) else self.rules.keys() - self.used - {""}
        if unused:
            raise error("jax-argument", found=f"specs of {shown(min(unused))}, where no variable is")


def _is_spec(node: Any) -> bool:
    return node is None or isinstance(node, PartitionSpec)


def _spec(given: Any) -> PartitionSpec:
    if not _is_spec(given):
        raise error("jax-argument", found=f"{shown(given)} in place of a PartitionSpec")
    return PartitionSpec() if given is None else given
