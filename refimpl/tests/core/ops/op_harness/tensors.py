"""Cases of shaping, merging and arithmetic, of preprocessing, and of graphs."""

from __future__ import annotations

from typing import Any

import numpy as np

from etui.canonical.values import OutputRef
from etui.containers.config import Call, Graph, Module
from etui.core.vocabulary import ops

from .case import OP, Array, Case, Draw, In, case, module_of, single

# --- graphs -----------------------------------------------------------------------------------------------------------


@case("graph")
def graph(draw: Draw, op: str) -> Case:
    """A model inside of the model: two inputs, a dense module that is called twice, and two outputs."""
    width, twice = draw.number(1, 3), draw.flag()
    x, y = draw.floats(2, width), draw.floats(2, width)
    inputs = [Module(name, op="core:input", attrs={"shape": [None, width], "dtype": draw.dtype}) for name in "ab"]
    kernel = draw.kernel(width, width)
    dense = module_of("dense", {"units": width, "use_bias": False}, "dense", ["kernel"], f"{OP}/dense")
    calls = [Call(name, name) for name in "ab"]
    calls += [Call("first", "dense", [OutputRef("a", 0)])]
    calls += [Call("second", "dense", [OutputRef("first" if twice else "b", 0)])]
    calls += [Call("sum", "sum", [[OutputRef("second", 0), OutputRef("b", 0)]])]
    made = single(draw, op, {"x": x, "y": y}, outputs=2, args=[[In("x"), In("y")]])
    made.module.kind = "graph"
    made.module.modules = [*inputs, dense, Module("sum", op="core:add")]
    made.module.graph = Graph(
        [OutputRef(name, 0) for name in "ab"], [OutputRef("sum", 0), OutputRef("first", 0)], calls
    )
    made.variables = {f"{OP}/dense/kernel": kernel}
    return made


@case("sequential")
def sequential(draw: Draw, op: str) -> Case:
    """Some modules one after the other, which carry a mask from the first to the last."""
    width = draw.number(1, 3)
    x = np.where(draw.mask(2, 4)[..., np.newaxis], draw.floats(2, 4, width), 0.0)
    made = single(draw, op, {"x": x})
    relu = Module("relu", op="core:activation", attrs={"function": draw.activation()})
    dense = module_of("dense", {"units": 2, "use_bias": False}, "dense", ["kernel"], f"{OP}/dense")
    middle = [dense, relu] if draw.flag() else [dense]
    last = Module("last", op="core:global_avg_pool")
    made.module.modules = [Module("masking", op="core:masking"), *middle, last]
    made.variables = {f"{OP}/dense/kernel": draw.kernel(width, 2)}
    return made


@case("input")
def input_(draw: Draw, op: str) -> Case:
    """The input of the model itself, which goes through an op that does nothing."""
    return single(draw, "identity", {"x": draw.floats(*draw.ints(draw.number(1, 4), 1, 3))})


@case("parameter")
def parameter(draw: Draw, op: str) -> Case:
    """A variable that is added to the input."""
    shape = draw.ints(2, 1, 4)
    made = single(draw, "add", {"x": draw.floats(2, *shape)}, args=[[In("x"), In("value")]])
    made.extra = [Module("value", op="core:parameter", params={"value": "value/value"})]
    made.variables = {"value/value": draw.floats(2, *shape)}
    return made


@case("identity")
def identity(draw: Draw, op: str) -> Case:
    x = draw.floats(*draw.ints(draw.number(1, 3), 1, 4))
    return single(draw, op, {"x": x}, masked=x.ndim == 3)


# --- shapes -----------------------------------------------------------------------------------------------------------


def tensor(draw: Draw, least: int = 2, most: int = 4) -> Array:
    """A tensor of a drawn rank."""
    return draw.floats(*draw.ints(draw.number(least, most), 1, 4))


@case("flatten")
def flatten(draw: Draw, op: str) -> Case:
    return single(draw, op, {"x": tensor(draw, 1)}, {"data_format": draw.pick("channels_last", "channels_first")})


@case("reshape")
def reshape(draw: Draw, op: str) -> Case:
    a, b, c = draw.ints(3, 1, 3)
    shape = draw.pick([a * b * c], [c, a * b], [-1, c], [b, -1, a], [a, b, c, 1])
    return single(draw, op, {"x": draw.floats(2, a, b, c)}, {"shape": shape})


@case("permute")
def permute(draw: Draw, op: str) -> Case:
    x = tensor(draw, 2)
    axes = [0, *(1 + int(axis) for axis in draw.random.permutation(x.ndim - 1))]
    return single(draw, op, {"x": x}, {"axes": axes})


@case("repeat")
def repeat(draw: Draw, op: str) -> Case:
    return single(draw, op, {"x": draw.floats(*draw.ints(2, 1, 4))}, {"count": draw.number(1, 3)})


@case("pad")
def pad(draw: Draw, op: str) -> Case:
    x = draw.floats(*draw.ints(draw.number(2, 4), 3, 4))
    pairs = [draw.ints(2, 0, 2) for _ in range(x.ndim - 1)]
    mode = draw.pick("constant", "constant", "reflect", "symmetric")
    return single(
        draw,
        op,
        {"x": x},
        {"padding": pairs, "mode": mode, "value": draw.pick(0.0, 1.5) if mode == "constant" else 0.0},
    )


@case("crop")
def crop(draw: Draw, op: str) -> Case:
    x = draw.floats(2, *draw.ints(draw.number(1, 3), 4, 5), 2)
    return single(draw, op, {"x": x}, {"cropping": [*(draw.ints(2, 0, 1) for _ in range(x.ndim - 2)), [0, 0]]})


@case("slice")
def slice_(draw: Draw, op: str) -> Case:
    x = draw.floats(3, 4, 5)
    index = draw.pick(
        [[None, None, None], 1],
        [[None, None, None], [1, None, 2], [None, -1, None]],
        ["...", -1],
        [[None, None, None], "newaxis", [0, 2, None]],
        [[0, 2, None], "...", [1, 4, 2]],
    )
    return single(draw, op, {"x": x}, {"index": index})


@case("concat")
def concat(draw: Draw, op: str) -> Case:
    shape, axis = draw.ints(3, 1, 3), draw.pick(-1, 1, 2)
    xs = {}
    for name in ("x", "y", "z")[: draw.number(2, 3)]:
        sizes = list(shape)
        sizes[axis] = draw.number(1, 3)
        xs[name] = draw.floats(*sizes)
    return single(draw, op, xs, {"axis": axis}, args=[[In(name) for name in xs]], masked=draw.flag())


@case("stack")
def stack(draw: Draw, op: str) -> Case:
    shape = draw.ints(draw.number(1, 3), 1, 3)
    xs = {name: draw.floats(*shape) for name in ("x", "y")}
    return single(draw, op, xs, {"axis": draw.pick(0, 1, -1)}, args=[[In(name) for name in xs]])


@case("split")
def split(draw: Draw, op: str) -> Case:
    axis, sections = draw.pick(0, 1, -1), draw.pick(2, [1, 2], [3], [1, 0, 2, 1])
    length = 2 * draw.number(1, 2) if isinstance(sections, int) else sum(sections)
    shape = draw.ints(3, 1, 3)
    shape[axis] = length
    outputs = sections if isinstance(sections, int) else len(sections)
    return single(draw, op, {"x": draw.floats(*shape)}, {"sections": sections, "axis": axis}, outputs=outputs)


@case("expand_dims")
def expand_dims(draw: Draw, op: str) -> Case:
    return single(draw, op, {"x": tensor(draw, 1, 3)}, {"axes": draw.pick([-1], [0], [1], [0, -1])})


@case("squeeze")
def squeeze(draw: Draw, op: str) -> Case:
    return single(draw, op, {"x": draw.floats(2, 1, 3, 1)}, {"axes": draw.pick(None, [1], [-1], [1, 3])})


@case("cast")
def cast(draw: Draw, op: str) -> Case:
    return single(draw, op, {"x": tensor(draw)}, {"dtype": draw.pick("int32", "bool", "float32", "int16")})


@case("broadcast_to")
def broadcast_to(draw: Draw, op: str) -> Case:
    a, b = draw.ints(2, 2, 3)
    return single(draw, op, {"x": draw.floats(draw.pick(1, a), 1, b)}, {"shape": draw.pick([a, 3, b], [2, a, 3, b])})


@case("take")
def take(draw: Draw, op: str) -> Case:
    x, axis = draw.floats(3, 4, 2), draw.pick(None, 0, 1, -1)
    below = x.size if axis is None else x.shape[axis]
    inputs = {"x": x, "indices": draw.indices(*draw.ints(draw.number(1, 2), 1, 3), below=below)}
    return single(draw, op, inputs, {"axis": axis})


# --- merging ----------------------------------------------------------------------------------------------------------


@case("add", "mul", "mean", "max", "min")
def merge(draw: Draw, op: str) -> Case:
    shape = draw.ints(draw.number(2, 3), 1, 3)
    xs = {"x": draw.floats(*shape)}
    for name in ("y", "z")[: draw.number(1, 2)]:
        # Keras with TensorFlow takes [n, 1] for a bias [n] in a sum.
        xs[name] = draw.floats(shape[0], *[size if draw.judge == "keras" else draw.pick(1, size) for size in shape[1:]])
    masked = len(shape) == 3 and draw.flag() and all(array.shape[1] == shape[1] for array in xs.values())
    return single(draw, op, xs, args=[[In(name) for name in xs]], masked=masked)


@case("sub")
def sub(draw: Draw, op: str) -> Case:
    shape = draw.ints(draw.number(2, 3), 1, 3)
    xs = {"x": draw.floats(*shape), "y": draw.floats(*shape)}
    return single(draw, op, xs, masked=len(shape) == 3 and draw.flag())


@case("dot")
def dot(draw: Draw, op: str) -> Case:
    batch, a, b, c = draw.ints(4, 1, 3)
    x, y, axes = draw.pick(
        ((batch, a), (batch, a), [1, 1]),
        ((batch, b, a), (batch, c, a), [2, 2]),
        ((batch, a, b), (batch, a, c), [1, 1]),
        ((batch, a, b), (batch, b), [2, 1]),
        ((batch, b, a), (batch, a, c), [2, 1]),
    )
    inputs = {"x": draw.floats(*x, low=0.2), "y": draw.floats(*y, low=0.2)}
    return single(draw, op, inputs, {"axes": axes, "normalize": draw.flag()})


@case("matmul")
def matmul(draw: Draw, op: str) -> Case:
    batch, a, b, c = draw.ints(4, 1, 3)
    x, y = draw.pick(
        ((a, b), (b, c)), ((batch, a, b), (batch, b, c)), ((batch, a, b), (b, c)), ((2, 1, a, b), (batch, b, c))
    )
    return single(draw, op, {"x": draw.floats(*x), "y": draw.floats(*y)})


@case("einsum")
def einsum(draw: Draw, op: str) -> Case:
    a, b, c, d = draw.ints(4, 1, 3)
    equation, shapes = draw.pick(
        ("ab,bc->ac", [(a, b), (b, c)]),
        ("abc,adc->abd", [(a, b, c), (a, d, c)]),
        ("abc,abc->", [(a, b, c)] * 2),
        ("ab,bc,cd->ad", [(a, b), (b, c), (c, d)]),
        ("...ab,...bc->...ac", [(2, a, b), (2, b, c)]),
        ("abc->acb", [(a, b, c)]),
    )
    xs = {name: draw.floats(*shape) for name, shape in zip("xyz", shapes, strict=False)}
    return single(draw, op, xs, {"equation": equation}, args=[[In(name) for name in xs]])


# --- arithmetic -------------------------------------------------------------------------------------------------------

POSITIVE = ("log", "log2", "log10", "sqrt", "rsqrt", "reciprocal")
INSIDE = ("asin", "acos", "atanh")
UNARY = ops()["unary"].attrs["function"].choices
BINARY = ops()["binary"].attrs["function"].choices


@case("unary")
def unary(draw: Draw, op: str) -> Case:
    function = draw.pick(*UNARY)
    low, high = -2.0, 2.0
    if function in POSITIVE:
        low = 0.1
    elif function in INSIDE or function == "tan":
        low, high = -0.9, 0.9
    elif function == "log1p":
        low = -0.8
    elif function == "acosh":
        low = 1.1
    x = draw.floats(*draw.ints(2, 1, 4), low=low, high=high)
    if function.startswith("is"):
        x.flat[0] = draw.pick(np.nan, np.inf, -np.inf, 1.0)
    if function == "logical_not":
        x = draw.bools(*x.shape)
    return single(draw, op, {"x": x}, {"function": function})


@case("binary")
def binary(draw: Draw, op: str) -> Case:
    function = draw.pick(*BINARY)
    shape = draw.ints(2, 1, 4)
    x, y = draw.floats(*shape, low=0.2), draw.floats(*draw.pick(shape, shape[1:], [1, shape[1]]), low=0.2)
    if function.startswith("logical"):
        return single(draw, op, {"x": draw.bools(*shape), "y": draw.bools(*shape)}, {"function": function})
    if function in {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}:
        y = np.where(draw.bools(*y.shape), y, x[0] if y.ndim == 1 else x[: len(y)])
    if draw.flag():
        args = draw.pick([In("x"), 1.5], [0.75, In("x")])
        return single(draw, op, {"x": x}, {"function": function}, args=args)
    if function != "pow" and draw.flag():
        x = -x
    return single(draw, op, {"x": x, "y": y}, {"function": function})


@case("clip")
def clip(draw: Draw, op: str) -> Case:
    return single(
        draw, op, {"x": tensor(draw)}, {"low": draw.pick(None, -1.0, 0.25), "high": draw.pick(None, 1.0, 0.5)}
    )


@case("where")
def where(draw: Draw, op: str) -> Case:
    shape = draw.ints(2, 1, 4)
    inputs = {"condition": draw.bools(*shape), "x": draw.floats(*shape)}
    if draw.flag():
        return single(draw, op, inputs, args=[In("condition"), In("x"), 0.5])
    return single(draw, op, inputs | {"y": draw.floats(*draw.pick(shape, shape[1:]))})


@case("reduce")
def reduce(draw: Draw, op: str) -> Case:
    function = draw.pick("sum", "mean", "max", "min", "prod", "var", "std", "any", "all", "logsumexp")
    x = tensor(draw, 2, 3)
    x = draw.bools(*x.shape) if function in {"any", "all"} else x
    attrs = {"function": function, "axes": draw.pick(None, [-1], [1], [0, 1]), "keepdims": draw.flag()}
    return single(draw, op, {"x": x}, attrs)


@case("arg_reduce")
def arg_reduce(draw: Draw, op: str) -> Case:
    attrs = {"function": draw.pick("argmax", "argmin"), "axis": draw.pick(None, 0, 1, -1), "keepdims": draw.flag()}
    return single(draw, op, {"x": tensor(draw, 2, 3)}, attrs)


# --- preprocessing ----------------------------------------------------------------------------------------------------


@case("rescale")
def rescale(draw: Draw, op: str) -> Case:
    x = tensor(draw, 2, 3)
    scale = draw.pick(0.5, 1 / 255, draw.floats(x.shape[-1]).tolist())
    return single(
        draw, op, {"x": x}, {"scale": scale, "offset": draw.pick(0.0, -1.0)}, masked=x.ndim == 3 and draw.flag()
    )


@case("masking")
def masking(draw: Draw, op: str) -> Case:
    value = draw.pick(0.0, 1.0)
    x = np.where(draw.mask(2, 4)[..., np.newaxis], draw.floats(2, 4, draw.number(1, 3)), value)
    made = single(draw, op, {"x": x}, {"mask_value": value})
    made.after = Module("after", op="core:global_avg_pool")
    return made


@case("lookup")
def lookup(draw: Draw, op: str) -> Case:
    words, invert = draw.keras and draw.flag(), draw.flag()  # torch and JAX have no strings
    vocabulary: list[Any] = ["red", "green", "blue"] if words else [3, 5, 8]
    attrs: dict[str, Any] = {"vocabulary": vocabulary, "oov_token": "[UNK]" if words else -1, "invert": invert}
    attrs["num_oov_indices"] = 1 if invert else draw.pick(0, 1)
    attrs["mask_token"] = draw.pick(None, "" if words else 0)
    if invert:
        x: Array = draw.indices(2, 3, below=3 + attrs["num_oov_indices"])
    else:
        terms = vocabulary + ([attrs["mask_token"]] if attrs["mask_token"] is not None else [])
        terms += (["pink"] if words else [7]) if attrs["num_oov_indices"] else []
        x = np.array([[draw.pick(*terms) for _ in range(3)] for _ in range(2)], dtype=None if words else np.int64)
    return single(draw, op, {"x": x}, attrs)


@case("one_hot")
def one_hot(draw: Draw, op: str) -> Case:
    mode, count = draw.pick("one_hot", "multi_hot", "count"), draw.number(2, 5)
    shape = [3] if mode == "one_hot" and draw.flag() else [2, 1 if mode == "one_hot" else 3]
    inputs: dict[str, Array] = {"x": draw.indices(*shape, below=count)}
    kwargs: dict[str, Any] = {}
    if mode == "count" and draw.flag():
        inputs["weights"] = draw.floats(*shape)
        kwargs["count_weights"] = In("weights")
    return single(draw, op, inputs, {"num_tokens": count, "output_mode": mode}, kwargs=kwargs)


@case("discretize")
def discretize(draw: Draw, op: str) -> Case:
    return single(
        draw, op, {"x": draw.floats(*draw.ints(2, 1, 4))}, {"boundaries": draw.pick([0.5], [-1.0, 0.0, 1.25])}
    )
