"""What the vectors of the core vocabulary are made of: numbers, small models, and cases with what the reference gives.

Numbers are multiples of 1/64, drawn with a seed that is the name of their case: exact in every float of 16 bits and
more, the same on every machine, and without a value that only one library rounds so.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from etui.canonical.values import OutputRef
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.tensors import Tensor
from etui.containers.weights import Variable, Weights
from etui.model import Model

Array = np.ndarray[Any, Any]
FLOAT64 = {"variable_dtype": "float64", "compute_dtype": "float64"}
_STEP = 64


class Numbers:
    """Draws arrays; `seed` is the name of what they are for."""

    def __init__(self, seed: str) -> None:
        self._rng = np.random.default_rng(zlib.crc32(seed.encode()))

    def __call__(self, *shape: int, low: float = -2.0, high: float = 2.0) -> Array:
        """Multiples of 1/64 from `low` to `high`, in float64."""
        drawn = self._rng.integers(round(low * _STEP), round(high * _STEP), shape, endpoint=True)
        return np.asarray(drawn / _STEP)

    def kernel(self, *shape: int) -> Array:
        """Numbers for a variable whose sums stay near 1."""
        return self(*shape, low=-0.75, high=0.75)

    def positive(self, *shape: int) -> Array:
        """Numbers from 1/4 to 2."""
        return self(*shape, low=0.25)

    def indices(self, *shape: int, below: int) -> Array:
        """Integers from 0 on."""
        return self._rng.integers(0, below, shape, dtype=np.int64)

    def flags(self, *shape: int, share: float = 0.6) -> Array:
        """Booleans, so many of them true."""
        return np.asarray(self._rng.random(shape) < share)

    def mask(self, batch: int, time: int) -> Array:
        """A mask with one step at least that is true and one that is false in each row."""
        mask = self.flags(batch, time)
        places = self._rng.permuted(np.tile(np.arange(time), (batch, 1)), axis=1)
        mask[np.arange(batch), places[:, 0]] = True
        mask[np.arange(batch), places[:, 1]] = False
        return mask


@dataclass
class Case:
    """A model and what it is evaluated with.

    Attributes:
        name: of the case within its file.
        title: what it shows, a sentence.
        clauses: ids of SPEC.md.
        model: whose ops are core.
        inputs: in the order of the graph's inputs; `None` for an optional one.
        training: the mode.
        needs: capabilities besides those of every evaluation.
    """

    name: str
    title: str
    clauses: tuple[str, ...]
    model: Model
    inputs: list[Array | None]
    training: bool = False
    needs: tuple[str, ...] = ()


@dataclass
class Net:
    """A graph in the making; its ops compute in float64 unless they say otherwise.

    Attributes:
        modules, calls, outputs: of the graph.
        sources: its inputs.
        arrays: what the inputs are given.
        variables: path -> array.
    """

    modules: list[Module] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    sources: list[OutputRef] = field(default_factory=list)
    arrays: list[Array | None] = field(default_factory=list)
    variables: dict[str, Array] = field(default_factory=dict)
    outputs: list[OutputRef] = field(default_factory=list)

    def give(self, name: str, array: Array | None, **attrs: Any) -> OutputRef:
        """An input with what it is given."""
        shape = [] if array is None else [None, *array.shape[1:]] if array.ndim else []
        kind = "string" if array is not None and array.dtype.kind in "OU" else "float64"
        kind = array.dtype.name if array is not None and array.dtype.kind in "biu" else kind
        self.modules.append(Module(name, op="core:input", attrs={"shape": shape, "dtype": kind, **attrs}))
        self.calls.append(Call(name, name))
        self.sources.append(OutputRef(name, 0))
        self.arrays.append(array)
        return self.sources[-1]

    def call(self, module: Module, *args: Any, at: str = "", **named: Any) -> OutputRef:
        """A call of a module, which is taken in if it is new; gives its first output.

        Args:
            module: of this graph.
            args: the inputs, positional.
            at: id of the call, else the name of the module.
            named: other arguments.
        """
        if all(module is not known for known in self.modules):
            self.modules.append(module)
        self.calls.append(Call(at or module.name, module.name, list(args), dict(named)))
        return OutputRef(at or module.name, 0)

    def op(self, op: str, *args: Any, name: str = "", call: Mapping[str, Any] | None = None, **told: Any) -> OutputRef:
        """A new module of one op with its call; see `module` for `told`."""
        return self.call(self.module(op, name=name or op, **told), *args, **(call or {}))

    def module(
        self,
        op: str,
        *,
        name: str = "",
        path: str = "",
        params: Mapping[str, Array] | None = None,
        modules: Sequence[Module] = (),
        precision: Mapping[str, str] | None = FLOAT64,
        **attrs: Any,
    ) -> Module:
        """A module of one op with its variables, which are taken in.

        Args:
            op: without its namespace.
            name: of the module, else that of the op.
            path: of the module, else its name.
            params: role -> value.
            modules: its children.
            precision: its attribute, or `None` for the default.
            attrs: the others, those off their defaults alone.
        """
        path = path or name or op
        self.variables |= {f"{path}/{role}": np.asarray(array) for role, array in (params or {}).items()}
        own = {**attrs, **({"precision": dict(precision)} if precision else {})}
        roles = {role: f"{path}/{role}" for role in params or {}}
        return Module(name or op, op=f"core:{op}", attrs=own, params=roles, modules=list(modules))

    def outputs_of(self, ref: OutputRef, count: int) -> list[OutputRef]:
        """All outputs of a call of which the first is known."""
        return [OutputRef(ref.call, index) for index in range(count)]

    def model(self, outputs: Any = None) -> Model:
        """The model; `outputs` is the structure of them, else the list of `self.outputs`, or the one."""
        if outputs is None:
            outputs = self.outputs if len(self.outputs) > 1 else self.outputs[0]
        root = Module(
            "model", "graph", "core:graph", modules=self.modules, graph=Graph(self.sources, outputs, self.calls)
        )
        weights = Weights({path: variable(path, array) for path, array in self.variables.items()})
        return Model(config=Config(root), weights=weights)

    def case(self, name: str, title: str, clauses: str, *, training: bool = False, needs: str = "") -> Case:
        """The case of this model; clauses and needs are separated by spaces."""
        return Case(name, title, tuple(clauses.split()), self.model(), self.arrays, training, tuple(needs.split()))


def variable(path: str, array: Array) -> Variable:
    """A variable whose role is the end of its path."""
    return Variable(Tensor.of(array), path.rpartition("/")[2])


def single(
    op: str,
    name: str,
    title: str,
    clauses: str,
    *inputs: Array,
    attrs: Mapping[str, Any] | None = None,
    params: Mapping[str, Array] | None = None,
    named: Mapping[str, Any] | None = None,
    outputs: int = 1,
    training: bool = False,
    mean_after: bool = False,
    as_list: bool = False,
) -> Case:
    """A case of one op.

    Args:
        op: without its namespace.
        name: of the case.
        title: what it shows.
        clauses: ids, separated by spaces.
        inputs: arrays, positional arguments of the call.
        attrs: of the op.
        params: role -> value.
        named: arguments of the call by name: an array, a list of arrays, or what is no tensor.
        outputs: how many the op gives.
        training: the mode.
        mean_after: whether `global_avg_pool` follows, which shows the mask of the first output.
        as_list: whether the inputs are one argument, a list.
    """
    net = Net()
    args: list[Any] = [net.give(f"in_{index}", array) for index, array in enumerate(inputs)]

    def taken(key: str, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return net.give(key, value)
        if isinstance(value, list):
            return [taken(f"{key}_{index}", one) for index, one in enumerate(value)]
        return value

    call = {key: taken(key, value) for key, value in (named or {}).items()}
    found = net.op(op, *([args] if as_list else args), name="op", call=call, params=params, **(attrs or {}))
    net.outputs = net.outputs_of(found, outputs)
    if mean_after:
        net.outputs[0] = net.op("global_avg_pool", found, name="after")
    return net.case(name, title, clauses, training=training)


def masked(
    op: str,
    name: str,
    title: str,
    clauses: str,
    *,
    width: int = 3,
    attrs: Mapping[str, Any] | None = None,
    params: Mapping[str, Array] | None = None,
    training: bool = False,
) -> Case:
    """A case in which a mask goes through an op: `masking` before it, and a mean over the steps that are left after."""
    n = Numbers(f"{op}/{name}")
    x = np.where(n.mask(2, 4)[..., np.newaxis], n(2, 4, width), 0.0)
    net = Net()
    before = net.op("masking", net.give("x", x), name="before")
    found = net.op(op, before, name="op", params=params, **(attrs or {}))
    net.outputs = [found, net.op("global_avg_pool", found, name="after")]
    return net.case(name, title, clauses, training=training)


def branches(name: str, title: str, clauses: str, inputs: Mapping[str, Array], ops: Sequence[tuple[Any, ...]]) -> Case:
    """One model of many ops side by side; each is (op, attrs, positional arguments: names of inputs, or numbers)."""
    net = Net()
    given = {key: net.give(key, array) for key, array in inputs.items()}
    for index, (op, attrs, args) in enumerate(ops):
        found = [given.get(one, one) if isinstance(one, str) else one for one in args]
        net.outputs.append(net.op(op, *found, name=f"op_{index}", **attrs))
    return net.case(name, title, clauses)
