"""Shapes of the results of core ops, as far as they follow from attributes: lifting and lowering ask for them.

A shape is a tuple with `None` where a size is free, or `None` where nothing is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from etui.bridges.keras.core.rules import Shape
from etui.canonical.values import OutputRef
from etui.containers.config import Graph, Module
from etui.core import vocabulary

Shapes = list[Shape | None]
Attrs = Mapping[str, Any]


_MOST_CALLS = 64
"""Shapes on which one model within a model is looked at; on further ones, nothing is known of what it gives."""

Models = dict[int, dict[str, Shapes]]
"""What each model, by `id`, was found to give, by the text of the shapes of its inputs."""


def output_shapes(module: Module, inputs: Shapes, models: Models | None = None) -> Shapes:
    """The shapes of what a core module gives.

    Args:
        module: of the vocabulary; of another, nothing is known.
        inputs: the shape of each input.
        models: found so far. A model that calls a model twice, and so on, is else walked through 2^n times.
    """
    models = {} if models is None else models
    if not vocabulary.is_core(module):
        return []
    attrs = vocabulary.attrs_of(module)
    name = module.op.removeprefix(vocabulary.NAMESPACE)
    first = inputs[0] if inputs else None
    if name in ("graph", "sequential"):
        known = models.setdefault(id(module), {})
        key = repr(inputs)
        if key not in known:
            known[key] = _model(module, inputs, models) if len(known) < _MOST_CALLS else []
        return known[key]
    if name == "time_distributed":
        return _each_step(module, first, models)
    if name == "bidirectional":
        return _two_directions(module, attrs, first, models)
    try:
        if name in _SEVERAL:
            return [_SEVERAL[name](attrs, inputs)]
        if name in _RECURRENT:
            return _recurrent(attrs, first, states=2 if name == "lstm" else 1)
        found = _ONE[name](attrs, first) if name in _ONE else first
    except (IndexError, KeyError, TypeError, ValueError):
        return []
    return [found]


def graph_shapes(
    graph: Graph, modules: Mapping[str, Module], inputs: Shapes, models: Models | None = None
) -> dict[str, Shapes]:
    """The shapes of what each call of a graph gives, by the call's id.

    Args:
        graph: the calls.
        modules: the called modules by name, in place of `shared` ones their targets.
        inputs: the shape of each input of the graph, in the order of its flattened inputs; empty to take those that
            the input modules state.
        models: as `output_shapes` takes it.
    """
    models = {} if models is None else models
    found: dict[str, Shapes] = {}
    given = dict(zip((one.call for one in _refs(graph.inputs)), inputs, strict=False))
    for call in graph.calls:
        known = given.get(call.id)
        ins = [_at(found, one) for one in _refs(call.args)]
        found[call.id] = [known] if known is not None else output_shapes(modules[call.module], ins, models)
    return found


def _at(found: Mapping[str, Shapes], one: OutputRef) -> Shape | None:
    listed = found.get(one.call, [])
    return listed[one.index] if one.index < len(listed) else None


def _refs(value: Any) -> list[OutputRef]:
    if isinstance(value, OutputRef):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [one for item in items for one in _refs(item)]


def _model(module: Module, inputs: Shapes, models: Models) -> Shapes:
    children = {child.name: child for child in module.modules}
    if module.graph is None:
        shape = inputs[:1]
        for child in module.modules:
            shape = output_shapes(child, shape, models)
        return shape
    found = graph_shapes(module.graph, children, inputs, models)
    return [_at(found, one) for one in _refs(module.graph.outputs)]


def _each_step(module: Module, shape: Shape | None, models: Models) -> Shapes:
    child = next(iter(module.modules), None)
    if child is None:
        return []
    inner = output_shapes(child, [None if shape is None else (shape[0], *shape[2:])], models)
    steps = None if shape is None else shape[1]
    return [None if one is None else (one[0], steps, *one[1:]) for one in inner]


def _two_directions(module: Module, attrs: Attrs, shape: Shape | None, models: Models) -> Shapes:
    child = next(iter(module.modules), None)
    if child is None:
        return []
    found = output_shapes(child, [shape], models)
    if not found or found[0] is None or attrs["merge"] == "none":
        return []
    last = found[0][-1]
    doubled = last * 2 if attrs["merge"] == "concat" and last is not None else last
    return [(*found[0][:-1], doubled), *found[1:], *found[1:]]


def _recurrent(attrs: Attrs, shape: Shape | None, states: int) -> Shapes:
    batch, steps = (shape[0], shape[1]) if shape is not None else (None, None)
    state = (batch, attrs["units"])
    output: Shape = (batch, steps, attrs["units"]) if attrs["return_sequences"] else state
    return [output, *([state] * states if attrs["return_state"] else [])]


_RECURRENT = frozenset({"simple_rnn", "lstm", "gru"})


def _window(sizes: str, channels: Callable[[Attrs, int | None], int | None]) -> Callable[[Attrs, Shape | None], Shape]:
    """The shape after a window has moved over the spatial axes."""

    def after(attrs: Attrs, shape: Shape | None) -> Shape:
        window = attrs[sizes]
        rank = len(window)
        first = attrs["data_format"] == "channels_first"
        whole = shape if shape is not None else (None,) * (rank + 2)
        spatial = whole[2:] if first else whole[1:-1]
        strides = attrs["strides"] or (window if sizes == "pool_size" else [1] * rank)
        dilation = attrs.get("dilation") or [1] * rank
        padding = attrs["padding"]
        pads = [sum(pair) for pair in padding] if isinstance(padding, list) else [0] * rank
        found: list[int | None] = []
        for at, size in enumerate(spatial):
            extent = (window[at] - 1) * dilation[at] + 1
            if size is None:
                found.append(None)
            elif padding in ("same", "causal"):
                found.append(-(-size // strides[at]))
            else:
                found.append((size + pads[at] - extent) // strides[at] + 1)
        count = channels(attrs, whole[1] if first else whole[-1])
        return (whole[0], count, *found) if first else (whole[0], *found, count)

    return after


def _transposed(attrs: Attrs, shape: Shape | None) -> Shape:
    """Sizes of a transposed convolution are left open but for the channels."""
    rank = len(attrs["kernel_size"])
    free = (None,) * rank
    batch = shape[0] if shape is not None else None
    first = attrs["data_format"] == "channels_first"
    return (batch, attrs["filters"], *free) if first else (batch, *free, attrs["filters"])


def _global(attrs: Attrs, shape: Shape | None) -> Shape | None:
    if shape is None:
        return None
    first = attrs["data_format"] == "channels_first"
    channels, rank = (shape[1], len(shape) - 2) if first else (shape[-1], len(shape) - 2)
    if not attrs["keepdims"]:
        return (shape[0], channels)
    return (shape[0], channels, *(1,) * rank) if first else (shape[0], *(1,) * rank, channels)


def _spatial(attrs: Attrs, shape: Shape | None, sizes: Sequence[int | None]) -> Shape:
    first = attrs["data_format"] == "channels_first"
    batch, channels = (None, None) if shape is None else (shape[0], shape[1] if first else shape[-1])
    return (batch, channels, *sizes) if first else (batch, *sizes, channels)


def _resized(attrs: Attrs, shape: Shape | None) -> Shape:
    if attrs["size"] is not None:
        return _spatial(attrs, shape, attrs["size"])
    scale = attrs["scale"]
    inner = (
        (None,) * len(scale)
        if shape is None
        else shape[2:]
        if attrs["data_format"] == "channels_first"
        else shape[1:-1]
    )
    return _spatial(attrs, shape, [None if one is None else one * by for one, by in zip(inner, scale, strict=True)])


def _product(sizes: Sequence[int | None]) -> int | None:
    return None if None in sizes else math.prod(one for one in sizes if one is not None)


def _flat(_: Attrs, shape: Shape | None) -> Shape:
    return (None, None) if shape is None else (shape[0], _product(shape[1:]))


def _reshaped(attrs: Attrs, shape: Shape | None) -> Shape:
    sizes = list(attrs["shape"])
    whole = _product(shape[1:]) if shape is not None else None
    if -1 in sizes:
        known = math.prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = None if whole is None or not known else whole // known
    return (shape[0] if shape is not None else None, *sizes)


def _padded(attrs: Attrs, shape: Shape | None) -> Shape:
    pairs = attrs["padding"]
    inner = shape[1:] if shape is not None else (None,) * len(pairs)
    batch = shape[0] if shape is not None else None
    return (batch, *(None if one is None else one + sum(pair) for one, pair in zip(inner, pairs, strict=True)))


def _cropped(attrs: Attrs, shape: Shape | None) -> Shape:
    pairs = attrs["cropping"]
    inner = shape[1:] if shape is not None else (None,) * len(pairs)
    batch = shape[0] if shape is not None else None
    return (batch, *(None if one is None else one - sum(pair) for one, pair in zip(inner, pairs, strict=True)))


def _sliced(attrs: Attrs, shape: Shape | None) -> Shape | None:
    index = list(attrs["index"])
    if shape is None:
        return None
    used = sum(item not in ("newaxis", "...") for item in index)
    fill: list[Any] = [[None, None, None]] * (len(shape) - used)
    at = index.index("...") if "..." in index else len(index)
    whole = [*index[:at], *fill, *index[at + 1 :]]
    found: list[int | None] = []
    sizes = iter(shape)
    for item in whole:
        if item == "newaxis":
            found.append(1)
            continue
        size = next(sizes)
        if isinstance(item, list):
            found.append(len(range(*slice(*item).indices(size))) if size is not None else None)
    return tuple(found)


def _expanded(attrs: Attrs, shape: Shape | None) -> Shape | None:
    if shape is None:
        return None
    rank = len(shape) + len(attrs["axes"])
    places = {axis % rank for axis in attrs["axes"]}
    sizes = iter(shape)
    return tuple(1 if at in places else next(sizes) for at in range(rank))


def _without(attrs: Attrs, shape: Shape | None) -> Shape | None:
    if shape is None or attrs["axes"] is None:
        return None
    gone = {axis % len(shape) for axis in attrs["axes"]}
    return tuple(size for at, size in enumerate(shape) if at not in gone)


def _reduced(attrs: Attrs, shape: Shape | None) -> Shape | None:
    if shape is None:
        return None
    own = attrs["axes"] if "axes" in attrs else None if attrs["axis"] is None else [attrs["axis"]]
    gone = set(range(len(shape))) if own is None else {axis % len(shape) for axis in own}
    if attrs["keepdims"]:
        return tuple(1 if at in gone else size for at, size in enumerate(shape))
    return tuple(size for at, size in enumerate(shape) if at not in gone)


def _merged(_: Attrs, shapes: Shapes) -> Shape | None:
    """The common shape that several tensors are spread to."""
    known = [shape for shape in shapes if shape is not None]
    if not known or len(known) < len(shapes):
        return None
    rank = max(map(len, known))
    whole = [(1,) * (rank - len(shape)) + tuple(shape) for shape in known]
    return tuple(
        next((size for size in sizes if size not in (1, None)), None if None in sizes else 1)
        for sizes in zip(*whole, strict=True)
    )


def _joined(attrs: Attrs, shapes: Shapes) -> Shape | None:
    known = [shape for shape in shapes if shape is not None]
    if not known or len(known) < len(shapes):
        return None
    axis = attrs["axis"] % len(known[0])
    sizes = [shape[axis] for shape in known]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    return (*known[0][:axis], total, *known[0][axis + 1 :])


def _piled(attrs: Attrs, shapes: Shapes) -> Shape | None:
    if not shapes or shapes[0] is None:
        return None
    at = attrs["axis"] % (len(shapes[0]) + 1)
    return (*shapes[0][:at], len(shapes), *shapes[0][at:])


def _multiplied(_: Attrs, shapes: Shapes) -> Shape | None:
    one, two = (*shapes, None, None)[:2]
    return None if one is None or two is None or len(one) < 2 or len(two) < 2 else (*one[:-1], two[-1])


def _attended(attrs: Attrs, shapes: Shapes) -> Shape | None:
    query = shapes[0] if shapes else None
    last = attrs.get("output_dim")
    return None if query is None else (*query[:-1], *last) if last else query


def _scored(_: Attrs, shapes: Shapes) -> Shape | None:
    query, value = (*shapes, None, None)[:2]
    return None if query is None or value is None else (*query[:-1], value[-1])


def _einsum(attrs: Attrs, shape: Shape | None) -> Shape | None:
    """Axes that an ellipsis stands for are in front on both sides, or nothing is known."""
    taken, _, rest = attrs["equation"].replace(" ", "").partition(",")
    given, sizes = rest.partition("->")[2], attrs["output_shape"]
    if "..." not in attrs["equation"]:
        return (shape[0] if shape is not None else None, *sizes)
    front, own = len(taken) - 3, len(given) - 3
    plain = taken.startswith("...") and given.startswith("...") and own <= len(sizes)
    if shape is None or not plain or len(shape) < front:
        return None
    return (*shape[: len(shape) - front], *sizes[len(sizes) - own :])


_filters = lambda attrs, _: attrs["filters"]  # noqa: E731  (one word for two rows)
_SEVERAL: dict[str, Callable[[Attrs, Shapes], Shape | None]] = {
    **dict.fromkeys(("add", "mul", "mean", "max", "min", "sub", "binary", "where"), _merged),
    "concat": _joined,
    "stack": _piled,
    "matmul": _multiplied,
    "mha": _attended,
    "gqa": _attended,
    "dot_attention": _scored,
    "additive_attention": _scored,
    **dict.fromkeys(("dot", "einsum", "split", "take", "broadcast_to"), lambda *_: None),
}
_ONE: dict[str, Callable[[Attrs, Shape | None], Shape | None]] = {
    "input": lambda attrs, _: tuple(attrs["shape"]),
    "parameter": lambda *_: None,
    "dense": lambda attrs, shape: None if shape is None else (*shape[:-1], attrs["units"]),
    "einsum_dense": _einsum,
    "embedding": lambda attrs, shape: None if shape is None else (*shape, attrs["output_dim"]),
    "conv": _window("kernel_size", _filters),
    "separable_conv": _window("kernel_size", _filters),
    "depthwise_conv": _window("kernel_size", lambda a, n: None if n is None else n * a["depth_multiplier"]),
    "conv_transpose": _transposed,
    "max_pool": _window("pool_size", lambda _, n: n),
    "avg_pool": _window("pool_size", lambda _, n: n),
    "global_max_pool": _global,
    "global_avg_pool": _global,
    "adaptive_max_pool": lambda attrs, shape: _spatial(attrs, shape, attrs["output_size"]),
    "adaptive_avg_pool": lambda attrs, shape: _spatial(attrs, shape, attrs["output_size"]),
    "resize": _resized,
    "flatten": _flat,
    "reshape": _reshaped,
    "permute": lambda attrs, shape: None if shape is None else tuple(shape[axis] for axis in attrs["axes"]),
    "repeat": lambda attrs, shape: None if shape is None else (shape[0], attrs["count"], *shape[1:]),
    "pad": _padded,
    "crop": _cropped,
    "slice": _sliced,
    "expand_dims": _expanded,
    "squeeze": _without,
    "reduce": _reduced,
    "arg_reduce": _reduced,
    "one_hot": lambda attrs, shape: None if shape is None else (*shape[:-1], attrs["num_tokens"]),
}
