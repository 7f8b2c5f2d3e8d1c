"""Core models to functions that `jax.export` serialises, and these functions run (SPEC.md, annex T).

The function takes the variables as a map from path to array, and the inputs as a list: it holds no weights.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import export
from jax.extend.mlir import ir, passmanager
from jax.extend.mlir.dialects import stablehlo

from etui.bridges.jax.functions import Function
from etui.bridges.jax.nodes import compiled
from etui.canonical.value_types import MapValue
from etui.canonical.values import OutputRef
from etui.containers.config import Config, Graph
from etui.containers.weights import Weights
from etui.core.extent import check_calls
from etui.core.flows import leaves
from etui.core.vocabulary import is_core_config
from etui.errors import EtuiError, error, shown
from etui.model import Blob, Model
from etui.programs.binding import Binding, Bound
from etui.programs.facts import Signature, Spec
from etui.programs.naming import signature_of
from etui.report import Report
from etui.transfer import EXACT, Transfer

_PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
_WIDE = frozenset({"float64", "complex128"})
# What compiled code may call outside of itself: checks of sizes, and functions of XLA for ops of free sizes.
_CALLS = frozenset(
    {
        "shape_assertion",
        "Sharding",
        "mhlo.topk",
        "stablehlo.dynamic_reduce_window",
        "stablehlo.dynamic_top_k",
        "stablehlo.dynamic_rng_bit_generator",
    }
)
_OUTSIDE = frozenset({f"stablehlo.{name}" for name in ("infeed", "outfeed", "send", "recv")})
_DIALECTS = frozenset({"builtin", "func", "stablehlo"})
_VERSION = re.compile(rb"StableHLO_v([0-9]+\.[0-9]+\.[0-9]+)")


def exported(
    model: Model, shapes: Mapping[str, Sequence[int | str | None]], platforms: Sequence[str] | None, report: Report
) -> tuple[bytes, Binding]:
    """The serialised function of a model, and what it was made of.

    Raises:
        TransferError: ``jax-op``; ``jax-parts``; ``stablehlo-export``.
        UsageError: ``program-option``.
    """
    unknown = sorted(set(platforms or ()) - set(_PLATFORMS))
    if unknown:
        raise error(
            "program-option", found=f"the platforms {shown(unknown)}", hint=f"Platforms: {', '.join(_PLATFORMS)}."
        )
    config, weights = _core(model, report)
    check_calls(config, "stablehlo-export")
    signature = signature_of(config)
    root = compiled(config, weights)
    for node in root.walk():
        report.add("module", node.path or config.model.name, "translated", f"core:{node.op}", Transfer(EXACT))
    variables = _variables(config, weights)
    function = Function({}, {}, model, root=root)
    nest = _nesting(config.model.graph)

    def forward(variables: dict[str, jax.Array], inputs: list[jax.Array]) -> list[jax.Array]:
        return list(leaves(function.apply(variables, nest(inputs), state={})))

    with _wide(_is_wide(variables, signature)):
        arguments = {one.path: jax.ShapeDtypeStruct(one.shape, _narrowed(one.dtype)) for one in variables}
        sizes = _symbolic(signature.inputs, shapes)
        given = [
            jax.ShapeDtypeStruct(size, _narrowed(spec.dtype or "float32"))
            for spec, size in zip(signature.inputs, sizes, strict=True)
        ]
        try:
            made = export.export(jax.jit(forward), platforms=tuple(platforms or _PLATFORMS))(arguments, given)
            data = bytes(_without_places(made).serialize())
        except EtuiError:
            raise
        except Exception as cause:  # each op of JAX has errors of its own
            hint = "Fix the sizes that it names: `shapes={…}`, or `--shape INPUT=1,224,224,3`."
            raise error("stablehlo-export", found=_first_line(cause), hint=hint) from cause
    inputs = [
        _spec(spec.name, aval) for spec, aval in zip(signature.inputs, made.in_avals[len(arguments) :], strict=True)
    ]
    outputs = [_spec(spec.name, aval) for spec, aval in zip(signature.outputs, made.out_avals, strict=True)]
    return data, Binding(model.fingerprint("config.json"), None, variables, Signature(inputs, outputs))


def run(
    model: Model, main: Blob, binding: Binding, inputs: Mapping[str, npt.NDArray[Any]], where: str
) -> dict[str, np.ndarray]:
    """Run a serialised function over the variables of a model.

    Raises:
        RejectError: ``program-form``; ``program-effects``.
        StorageError: ``program-failed``.
    """
    with _wide(_is_wide(binding.variables, binding.signature)):
        found = _loaded(main, where)
        _check_form(found, binding, where)
        variables = {}
        for one in sorted(binding.variables, key=lambda bound: bound.path):
            if model.weights is None or one.path not in model.weights:
                raise error("program-stale", where=where, found=f"no variable {shown(one.path)}")
            variables[one.path] = jnp.asarray(model.weights[one.path].numpy(), dtype=_narrowed(one.dtype))
        arrays = [jnp.asarray(inputs[spec.name]) for spec in binding.signature.inputs]
        try:
            results = [np.asarray(one) for one in jax.jit(found.call)(variables, arrays)]
        except Exception as cause:
            raise error("program-failed", where=where, found=_first_line(cause)) from cause
    return {spec.name: one for spec, one in zip(binding.signature.outputs, results, strict=True)}


def _core(model: Model, report: Report) -> tuple[Config, Weights]:
    if model.config is not None and not is_core_config(model.config):
        from etui.translation import to_core

        model = to_core(model, report)
    if model.config is None or model.weights is None:
        missing = "config" if model.config is None else "weights"
        raise error("jax-parts", found=f"a model without {missing}")
    return model.config, model.weights


def _variables(config: Config, weights: Weights) -> list[Bound]:
    """The variables that the modules take, each once."""
    paths = {weights.resolve(path) for _, module in config.walk() for path in module.params.values()}
    return [Bound(path, weights[path].dtype, tuple(weights[path].shape)) for path in sorted(paths)]


def _is_wide(variables: Sequence[Bound], signature: Signature) -> bool:
    """Whether floats of 64 bits go into the function."""
    return not _WIDE.isdisjoint([one.dtype for one in variables] + [spec.dtype for spec in signature.inputs])


def _nesting(graph: Graph | None) -> Callable[[list[Any]], Any]:
    """What puts a list of the inputs into the nesting in which the model takes them."""
    if graph is None:
        return lambda inputs: inputs[0]
    structure = graph.inputs

    def nest(inputs: list[Any]) -> Any:
        waiting = iter(inputs)

        def filled(value: Any) -> Any:
            if isinstance(value, OutputRef):
                return next(waiting)
            if isinstance(value, dict):
                found = {key: filled(value[key]) for key in sorted(value)}  # in the order of `leaves`
                return {key: found[key] for key in value}
            if isinstance(value, MapValue):
                return MapValue(tuple((key, filled(item)) for key, item in value.pairs))
            if isinstance(value, list | tuple):
                return type(value)(filled(item) for item in value)
            return value

        return filled(structure)

    return nest


def _symbolic(inputs: Sequence[Spec], shapes: Mapping[str, Sequence[int | str | None]]) -> list[tuple[Any, ...]]:
    """The shape of each input, of which a size that is not fixed is a symbol; the first axis of all is the batch."""
    unknown = sorted(set(shapes) - {spec.name for spec in inputs})
    if unknown:
        raise error(
            "program-option", found=f"shapes of {shown(unknown)}", hint=f"Inputs: {[one.name for one in inputs]}."
        )
    texts = []
    for number, spec in enumerate(inputs):
        wanted = shapes.get(spec.name, spec.shape)
        if wanted is None:
            hint = "Say the shape: `shapes={…}`, or `--shape INPUT=1,8`."
            raise error(
                "program-option", where=spec.name, found="an input whose shape the config does not say", hint=hint
            )
        fits = spec.shape is None or len(spec.shape) == len(wanted)
        if not fits or (
            spec.shape and any(one not in (None, two) for one, two in zip(spec.shape, wanted, strict=True))
        ):
            raise error("program-option", where=spec.name, found=f"the shape {shown(list(wanted))} for {spec.shape}")
        names = ["b" if axis == 0 else f"n{number}_{axis}" for axis in range(len(wanted))]
        texts.append([name if size is None else size for name, size in zip(names, wanted, strict=True)])
    scope = export.SymbolicScope()
    try:
        return [
            tuple(size if isinstance(size, int) else export.symbolic_shape(size, scope=scope)[0] for size in one)
            for one in texts
        ]
    except ValueError as cause:
        raise error("program-option", found=f"a size that is no name: {_first_line(cause)}") from cause


def _narrowed(dtype: str) -> np.dtype[Any]:
    """A dtype as this JAX has it: without `jax_enable_x64`, integers of 64 bits have 32."""
    from etui import dtypes

    known = dtypes.by_name(dtype, "").numpy
    if known.hasobject:
        raise error("jax-variables", found=f"the dtype {dtype}")
    found: np.dtype[Any] = np.dtype(jax.dtypes.canonicalize_dtype(known))
    return found


def _spec(name: str, aval: Any) -> Spec:
    return Spec(name, aval.dtype.name, tuple(size if isinstance(size, int) else None for size in aval.shape))


@contextmanager
def _wide(on: bool) -> Iterator[None]:
    """Whether JAX has dtypes of 64 bits in the block."""
    enable = getattr(jax, "enable_x64", None)
    if enable is None:  # before JAX 0.8
        from jax import experimental

        enable = experimental.enable_x64
    with enable(on):
        yield


def _without_places(made: Any) -> Any:
    """The function without the places of the source code, which are those of this machine."""
    code = made.mlir_module_serialized
    version = _VERSION.search(code)
    if version is None:
        raise error("stablehlo-export", found="code that does not say its version of StableHLO")
    with ir.Context() as context:
        stablehlo.register_dialect(context)
        module = stablehlo.deserialize_portable_artifact(context, code)
        passmanager.PassManager.parse("builtin.module(strip-debuginfo)").run(module.operation)
        code = bytes(stablehlo.serialize_portable_artifact(module, version[1].decode()))
    return replace(made, mlir_module_serialized=code)


def _loaded(main: Blob, where: str) -> Any:
    """The function, once its operations were looked at."""
    try:
        found = export.deserialize(bytearray(main.view()))
        operations = list(_operations(found.mlir_module_serialized))
    except EtuiError:
        raise
    except Exception as cause:
        raise error("program-form", where=where, found=_first_line(cause)) from cause
    for name, target in operations:
        outside = name.partition(".")[0] not in _DIALECTS or name in _OUTSIDE
        if outside or (name == "stablehlo.custom_call" and target not in _CALLS):
            raise error("program-effects", where=where, found=f"the operation {name} {target}".rstrip())
    if found.nr_devices != 1 or found.ordered_effects or found.unordered_effects:
        raise error("program-effects", where=where, found="a function of several devices, or with effects")
    return found


def _operations(module: bytes) -> Iterator[tuple[str, str]]:
    """Each operation of a module, with what it calls outside of it."""
    found: list[tuple[str, str]] = []

    def see(operation: Any) -> Any:
        operation = operation.operation
        target = ""
        if "call_target_name" in operation.attributes:
            target = ir.StringAttr(operation.attributes["call_target_name"]).value
        found.append((operation.name, target))
        return ir.WalkResult.ADVANCE

    with ir.Context() as context:
        stablehlo.register_dialect(context)
        stablehlo.deserialize_portable_artifact(context, module).operation.walk(see)
    return iter(found)


def _check_form(found: Any, binding: Binding, where: str) -> None:
    """The function must take and give what the binding says."""
    variables = sorted(binding.variables, key=lambda bound: bound.path)
    shape = jax.tree.structure(((({one.path: 0 for one in variables}), [0] * len(binding.signature.inputs)), {}))
    if found.in_tree != shape:
        raise error("program-form", where=where, found="a function of other arguments than program.json says")
    takes = [_spec("", aval) for aval in found.in_avals]
    says = [Spec("", _narrowed(one.dtype).name, one.shape) for one in variables]
    says += [Spec("", one.dtype, one.shape) for one in binding.signature.inputs]
    gives = [_spec("", aval) for aval in found.out_avals]
    if takes != says or gives != [Spec("", one.dtype, one.shape) for one in binding.signature.outputs]:
        raise error("program-form", where=where, found="a function of other tensors than program.json says")


def _first_line(cause: BaseException) -> str:
    return f"{type(cause).__name__}: {str(cause).strip().partition(chr(10))[0]}"[:300]
