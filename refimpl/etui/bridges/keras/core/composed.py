"""Layers of Keras that are several ops of the vocabulary: each becomes a graph of them, and back (SPEC.md, annex L)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from etui.bridges.keras.core.lift_attributes import prune
from etui.bridges.keras.core.objects import lift_policy, lower_policy
from etui.bridges.keras.core.rules import Attrs, NotCoreError
from etui.canonical.values import OutputRef
from etui.containers.config import Call, Graph, Module
from etui.core import vocabulary
from etui.errors import shown


@dataclass(frozen=True, slots=True)
class Composed:
    """A class of Keras that is a graph.

    Attributes:
        lift: fills in a module of op `core:graph` for one of Keras.
        lower: Keras' attributes of such a graph, or `None` where it is another graph.
    """

    lift: Callable[[Module, Module], None]
    lower: Callable[[Module], Attrs | None]


def _scaled_sum(module: Module, found: Module) -> None:
    """CustomScaleLayer of InceptionResNetV2: the first input plus the second times a number."""
    if module.attrs.keys() - {"name", "trainable", "dtype", "scale"}:
        raise NotCoreError(f"it has the attributes {sorted(module.attrs)}")
    scale = module.attrs.get("scale")
    if type(scale) not in (int, float):
        raise NotCoreError(f"scale is {shown(scale)}")
    if lift_policy(module.attrs.get("dtype")) is not None:
        raise NotCoreError("its policy is not float32")
    shapes = module.build.get("input_shape") if isinstance(module.build, dict) else None
    if not isinstance(shapes, list | tuple) or len(shapes) != 2 or not all(isinstance(s, list | tuple) for s in shapes):
        raise NotCoreError("the shapes of its inputs are not known")
    if module.params or module.modules:
        raise NotCoreError("it has variables or layers")
    _fill(found, [list(shape) for shape in shapes], scale)
    if module.attrs.get("trainable") is False:
        found.attrs["trainable"] = False


def _fill(found: Module, shapes: list[list[Any]], scale: Any) -> None:
    found.kind = "graph"
    names = ("first", "second")
    found.modules = [
        *(
            Module(name, "layer", "core:input", prune("input", {"shape": shape, "dtype": "float32"}))
            for name, shape in zip(names, shapes, strict=True)
        ),
        Module("product", "layer", "core:binary", {"function": "mul"}),
        Module("sum", "layer", "core:binary", {"function": "add"}),
    ]
    one, two, product = (OutputRef(name, 0) for name in (*names, "product"))
    calls = [
        *(Call(name, name) for name in names),
        Call("product", "product", [two, scale]),
        Call("sum", "sum", [one, product]),
    ]
    found.graph = Graph([one, two], OutputRef("sum", 0), calls)


def _of_scaled_sum(module: Module) -> Attrs | None:
    children = {child.name: child for child in module.modules}
    product = next((call for call in module.graph.calls if call.id == "product"), None) if module.graph else None
    if product is None or len(product.args) != 2 or not {"first", "second"} <= children.keys():
        return None
    shapes = [children[name].attrs.get("shape") for name in ("first", "second")]
    if not all(isinstance(shape, list) for shape in shapes) or type(product.args[1]) not in (int, float):
        return None
    same = Module("")
    _fill(same, [shape or [] for shape in shapes], product.args[1])
    if (same.graph, same.modules) != (module.graph, module.modules):
        return None
    attrs = vocabulary.attrs_of(module)
    return {"trainable": attrs["trainable"], "dtype": lower_policy(None), "scale": product.args[1]}


COMPOSED = {"keras:src.applications.inception_resnet_v2.CustomScaleLayer": Composed(_scaled_sum, _of_scaled_sum)}
"""By the op of Keras; without the residue that names it, such a graph is a Functional model in Keras."""


def lowered(module: Module) -> tuple[str, Attrs] | None:
    """The class and the attributes of Keras that a graph comes from, unless it was edited into another one."""
    op = module.residue.get("keras", {}).get("op")
    composed = COMPOSED.get(op) if isinstance(op, str) else None
    attrs = composed.lower(module) if composed is not None else None
    return None if attrs is None else (op, attrs)
