"""Functions, operators and methods of torch in the terms of the vocabulary (SPEC.md, annex M.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from etui.bridges.torch.trace import modules
from etui.canonical.values import OutputRef

Context = Any
_MERGING = {"add": "add", "mul": "mul"}


def _binary(function: str, *, swapped: bool = False) -> Callable[..., Any]:
    def translate(context: Context, x: Any, y: Any, alpha: Any = 1, **_: Any) -> Any:
        if alpha != 1:
            raise context.refuse(f"alpha={alpha}")
        if not isinstance(x, OutputRef) and not isinstance(y, OutputRef):
            return _plain(function, x, y)
        x, y = (y, x) if swapped else (x, y)
        both = isinstance(x, OutputRef) and isinstance(y, OutputRef)
        if both and function in _MERGING and _same_shape(context):
            return context.builder.call(context.name, _MERGING[function], [x, y])
        return context.builder.call(context.name, "binary", _number(x), _number(y), attrs={"function": function})

    return translate


def _same_shape(context: Context) -> bool:
    one, two = context.node.args[:2]
    return bool(context.shape(one) == context.shape(two))


def _plain(function: str, x: Any, y: Any) -> Any:
    """Arithmetic on sizes."""
    operations = {
        "add": lambda: x + y,
        "sub": lambda: x - y,
        "mul": lambda: x * y,
        "div": lambda: x / y,
        "floor_div": lambda: x // y,
        "mod": lambda: x % y,
        "pow": lambda: x**y,
    }
    return operations[function]()


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _unary(function: str) -> Callable[..., Any]:
    return lambda context, x: context.builder.call(context.name, "unary", x, attrs={"function": function})


def _activation(name: str) -> Callable[..., Any]:
    return lambda context, x, inplace=False: modules.activation(context, x, name)  # noqa: ARG005 (torch's argument)


def _gelu(context: Context, x: Any, approximate: str = "none") -> Any:
    return modules.activation(context, x, "gelu", **({"approximate": True} if approximate == "tanh" else {}))


def _softmax(context: Context, x: Any, dim: int | None = None, **_: Any) -> Any:
    if dim is None:
        raise context.refuse("a softmax without dim")
    return context.builder.call(context.name, "softmax", x, attrs={"axes": [dim]})


def _log_softmax(context: Context, x: Any, dim: int | None = None, **_: Any) -> Any:
    if dim is None:
        raise context.refuse("a log_softmax without dim")
    return modules.activation(context, x, "log_softmax", axis=dim)


def _leaky_relu(context: Context, x: Any, negative_slope: float = 0.01, **_: Any) -> Any:
    return context.builder.call(context.name, "leaky_relu", x, attrs={"negative_slope": float(negative_slope)})


def _elu(context: Context, x: Any, alpha: float = 1.0, **_: Any) -> Any:
    return context.builder.call(context.name, "elu", x, attrs={"alpha": float(alpha)})


def _dropout(context: Context, x: Any, p: float = 0.5, training: bool = True, **_: Any) -> Any:  # noqa: ARG001 (torch's)
    return context.builder.call(context.name, "dropout", x, attrs={"rate": float(p)})


def _flatten(context: Context, x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    return modules.flatten(context, x, start_dim, end_dim)


def _cat(context: Context, tensors: Any, dim: int = 0) -> Any:
    if dim == 0:
        raise context.refuse("a concatenation of batches")
    return context.builder.call(context.name, "concat", list(tensors), attrs={"axis": dim})


def _stack(context: Context, tensors: Any, dim: int = 0) -> Any:
    return context.builder.call(context.name, "stack", list(tensors), attrs={"axis": dim})


def _matmul(context: Context, x: Any, y: Any) -> Any:
    return context.builder.call(context.name, "matmul", x, y)


def _einsum(context: Context, equation: str, *tensors: Any) -> Any:
    return context.builder.call(context.name, "einsum", list(tensors), attrs={"equation": equation.replace(" ", "")})


def _reduce(function: str) -> Callable[..., Any]:
    def translate(context: Context, x: Any, dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
        if options.get("dtype") is not None:
            raise context.refuse("a reduction into another dtype")
        axes = None if dim is None else [dim] if isinstance(dim, int) else list(dim)
        attrs = {"function": function, "axes": axes, "keepdims": bool(keepdim)}
        return context.builder.call(context.name, "reduce", x, attrs=attrs)

    return translate


def _extreme(function: str) -> Callable[..., Any]:
    reduce, binary = _reduce(function), _binary(function)

    def translate(context: Context, x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        if isinstance(dim, OutputRef):
            return binary(context, x, dim)
        found = reduce(context, x, dim, keepdim)
        return found if dim is None else (found, None)  # torch gives the places too

    return translate


def _getitem(context: Context, x: Any, index: Any) -> Any:
    if not isinstance(x, OutputRef):
        return x[index]
    entries = index if isinstance(index, tuple) else (index,)
    if any(isinstance(one, OutputRef | list) for one in entries):
        raise context.refuse("an index that is a tensor or a list")
    return context.builder.call(context.name, "slice", x, attrs={"index": [_entry(one) for one in entries]})


def _entry(entry: Any) -> Any:
    if entry is None:
        return "newaxis"
    if entry is Ellipsis:
        return "..."
    return [entry.start, entry.stop, entry.step] if isinstance(entry, slice) else int(entry)


def _getattr(context: Context, x: Any, name: str) -> Any:
    if name == "shape":
        return _size(context, x)
    if name == "T" and context.rank(context.node.args[0]) == 2:
        return _transpose(context, x, 0, 1)
    if name in ("dtype", "device"):
        return f"the {name} of a tensor"
    raise context.refuse(f"the attribute {name} of a tensor")


@dataclass(frozen=True, slots=True)
class _Batch:
    """The size of the batch, which stays free: it may be passed on as a size, and nothing else.

    Attributes:
        tensor: one that has it, and the number of its axes.
    """

    tensor: Any
    rank: int

    def __repr__(self) -> str:
        return "the size of the batch"


def _size(context: Context, x: Any, dim: int | None = None) -> Any:
    shape = (
        _Batch(x, context.rank(context.node.args[0])),
        *(int(one) for one in context.shape(context.node.args[0])[1:]),
    )
    return shape if dim is None else shape[dim]


def _reshape(context: Context, x: Any, *shape: Any) -> Any:
    sizes = list(shape[0]) if len(shape) == 1 and isinstance(shape[0], list | tuple) else list(shape)
    before, after = context.shape(context.node.args[0]), context.shape(context.node)
    if before[0] != after[0] or (not isinstance(sizes[0], _Batch) and sizes[0] not in (-1, before[0])):
        raise context.refuse(f"a reshape to {sizes}, which moves elements between rows of the batch")
    if any(isinstance(one, _Batch) for one in sizes[1:]):
        raise context.refuse(f"a reshape to {sizes}, which depends on the size of the batch")
    return context.builder.call(context.name, "reshape", x, attrs={"shape": [int(one) for one in sizes[1:]]})


def _permute(context: Context, x: Any, *dims: Any) -> Any:
    axes = list(dims[0]) if len(dims) == 1 and isinstance(dims[0], list | tuple) else list(dims)
    rank = len(axes)
    return context.builder.call(context.name, "permute", x, attrs={"axes": [axis % rank for axis in axes]})


def _transpose(context: Context, x: Any, one: int, two: int) -> Any:
    axes = list(range(context.rank(context.node.args[0])))
    axes[one], axes[two] = axes[two], axes[one]
    return context.builder.call(context.name, "permute", x, attrs={"axes": axes})


def _unsqueeze(context: Context, x: Any, dim: int) -> Any:
    return context.builder.call(context.name, "expand_dims", x, attrs={"axes": [dim]})


def _squeeze(context: Context, x: Any, dim: Any = None) -> Any:
    if dim is None:
        raise context.refuse("a squeeze without dim")
    axes = [dim] if isinstance(dim, int) else list(dim)
    return context.builder.call(context.name, "squeeze", x, attrs={"axes": axes})


def _chunk(context: Context, x: Any, chunks: int, dim: int = 0) -> Any:
    size = context.shape(context.node.args[0])[dim]
    if size % chunks:
        raise context.refuse(f"{chunks} chunks of {size}, which are not equal")
    return _sections(context, x, chunks, chunks, dim)


def _split(context: Context, x: Any, sizes: Any, dim: int = 0) -> Any:
    size = context.shape(context.node.args[0])[dim]
    if isinstance(sizes, int):
        sizes = [min(sizes, size - start) for start in range(0, size, sizes)]
    return _sections(context, x, [int(one) for one in sizes], len(sizes), dim)


def _sections(context: Context, x: Any, sections: Any, count: int, dim: int) -> Any:
    if dim == 0:
        raise context.refuse("a split of the batch")
    found = context.builder.call(context.name, "split", x, attrs={"sections": sections, "axis": dim})
    return tuple(OutputRef(found.call, at) for at in range(count))


def _clamp(context: Context, x: Any, min: Any = None, max: Any = None) -> Any:  # noqa: A002 (torch's names)
    return context.builder.call(context.name, "clip", x, attrs={"low": _number(min), "high": _number(max)})


def _expand(context: Context, x: Any, *sizes: Any) -> Any:
    given = list(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], list | tuple) else list(sizes)
    before, after = context.shape(context.node.args[0]), context.shape(context.node)
    if not isinstance(given[0], _Batch) or before[0] != 1 or tuple(before[1:]) != tuple(after[1:]):
        raise context.refuse(f"an expand to {given}")
    # A row for each of the batch: zeros of the batch's size, made of any tensor that has it, and added.
    builder, name, batch = context.builder, context.name, given[0]
    index = [[None, None, None], *([[0, 1, None]] * (batch.rank - 1))]
    rows = builder.call(f"{name}.rows", "slice", batch.tensor, attrs={"index": index})
    rows = builder.call(f"{name}.shape", "reshape", rows, attrs={"shape": [1] * (len(before) - 1)})
    rows = builder.call(f"{name}.none", "binary", rows, 0.0, attrs={"function": "logical_and"})
    rows = builder.call(f"{name}.zeros", "cast", rows, attrs={"dtype": context.dtype(context.node.args[0])})
    return builder.call(name, "binary", x, rows, attrs={"function": "add"})


def _same(context: Context, x: Any, *_: Any, **__: Any) -> Any:  # noqa: ARG001
    return x


def _pool(kind: str, rank: int) -> Callable[..., Any]:
    def translate(
        context: Context, x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, **options: Any
    ) -> Any:
        module = SimpleNamespace(
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            dilation=options.get("dilation", 1),
            ceil_mode=options.get("ceil_mode", False),
            count_include_pad=options.get("count_include_pad", True),
        )
        return modules.pool(context, x, rank=rank, kind=kind, module=module)

    return translate


def _adaptive(kind: str, rank: int) -> Callable[..., Any]:
    return lambda context, x, output_size: modules.adaptive(context, x, output_size, rank=rank, kind=kind)


def _attention(context: Context, query: Any, key: Any, value: Any, *masks: Any, **options: Any) -> Any:
    """Attention of any leading axes, as products and a softmax."""
    known = {"scale": None, **options}
    if masks or any(value for name, value in options.items() if name != "scale"):
        raise context.refuse("a mask, a dropout or a grouping of scaled_dot_product_attention")
    scale = known["scale"]
    shape = context.shape(context.node.args[1])
    rank, name, builder = len(shape), context.name, context.builder
    axes = [*range(rank - 2), rank - 1, rank - 2]
    factor = float(shape[-1]) ** -0.5 if scale is None else float(scale)
    turned = builder.call(f"{name}.key", "permute", key, attrs={"axes": axes})
    scores = builder.call(f"{name}.scores", "matmul", query, turned)
    scores = builder.call(f"{name}.scaled", "binary", scores, factor, attrs={"function": "mul"})
    return builder.call(name, "matmul", builder.call(f"{name}.softmax", "softmax", scores), value)


_SHARED: dict[str, Callable[..., Any]] = {
    "add": _binary("add"),
    "iadd": _binary("add"),
    "sub": _binary("sub"),
    "isub": _binary("sub"),
    "rsub": _binary("sub", swapped=True),
    "mul": _binary("mul"),
    "imul": _binary("mul"),
    "div": _binary("div"),
    "truediv": _binary("div"),
    "floordiv": _binary("floor_div"),
    "mod": _binary("mod"),
    "pow": _binary("pow"),
    "maximum": _binary("max"),
    "minimum": _binary("min"),
    "matmul": _matmul,
    "bmm": _matmul,
    "abs": _unary("abs"),
    "neg": _unary("neg"),
    "exp": _unary("exp"),
    "log": _unary("log"),
    "sqrt": _unary("sqrt"),
    "rsqrt": _unary("rsqrt"),
    "square": _unary("square"),
    "sin": _unary("sin"),
    "cos": _unary("cos"),
    "erf": _unary("erf"),
    "relu": _activation("relu"),
    "relu_": _activation("relu"),
    "relu6": _activation("relu6"),
    "sigmoid": _activation("sigmoid"),
    "tanh": _activation("tanh"),
    "selu": _activation("selu"),
    "silu": _activation("silu"),
    "mish": _activation("mish"),
    "softplus": _activation("softplus"),
    "softsign": _activation("softsign"),
    "hardsigmoid": _activation("hard_sigmoid"),
    "hardswish": _activation("hard_silu"),
    "logsigmoid": _activation("log_sigmoid"),
    "gelu": _gelu,
    "elu": _elu,
    "leaky_relu": _leaky_relu,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "dropout": _dropout,
    "flatten": _flatten,
    "reshape": _reshape,
    "permute": _permute,
    "transpose": _transpose,
    "swapaxes": _transpose,
    "unsqueeze": _unsqueeze,
    "squeeze": _squeeze,
    "chunk": _chunk,
    "split": _split,
    "clamp": _clamp,
    "clip": _clamp,
    "mean": _reduce("mean"),
    "sum": _reduce("sum"),
    "prod": _reduce("prod"),
    "amax": _reduce("max"),
    "amin": _reduce("min"),
    "logsumexp": _reduce("logsumexp"),
    "max": _extreme("max"),
    "min": _extreme("min"),
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **_SHARED,
    "cat": _cat,
    "concat": _cat,
    "stack": _stack,
    "einsum": _einsum,
    "getitem": _getitem,
    "getattr": _getattr,
    "scaled_dot_product_attention": _attention,
    **{f"max_pool{rank}d": _pool("max_pool", rank) for rank in (1, 2, 3)},
    **{f"avg_pool{rank}d": _pool("avg_pool", rank) for rank in (1, 2, 3)},
    **{f"adaptive_max_pool{rank}d": _adaptive("max", rank) for rank in (1, 2, 3)},
    **{f"adaptive_avg_pool{rank}d": _adaptive("avg", rank) for rank in (1, 2, 3)},
}
METHODS: dict[str, Callable[..., Any]] = {
    **_SHARED,
    "view": _reshape,
    "size": _size,
    "expand": _expand,
    "contiguous": _same,
    "t": lambda context, x: _transpose(context, x, 0, 1),
}
"""By name: of the function without its package, and of the method of a tensor."""
