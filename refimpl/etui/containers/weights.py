"""The weights container: `weights.json` (SPEC.md chapter 12)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

from etui import paths
from etui.containers import plain_weights, plain_writing
from etui.containers.data_parts import DataParts
from etui.containers.fields import Json, open_document
from etui.containers.plain_spans import Spans
from etui.containers.plain_weights import PlainVariables
from etui.containers.tensor_index import Placed, TensorDecoder, encode_entry
from etui.containers.tensors import Tensor
from etui.containers.variable import Variable
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.notebooks import InNotebooks

__all__ = ["DOCUMENT", "Variable", "Weights", "decode", "decode_bytes", "encode", "encode_bytes", "tensors"]

DOCUMENT = "weights.json"
_VARIABLE_FIELDS = frozenset({"order", "role", "trainable"})
_MAKING = RLock()


@dataclass(slots=True)
class Weights(Mapping[str, Variable], InNotebooks):
    """The variables of a model by path, in the model's own order.

    `weights[path]` follows aliases; iteration and `len` count variables, not aliases.

    Attributes:
        variables: path -> variable.
        aliases: path -> path of the variable that it shares.
        extra: unknown fields of the document, kept for rewriting.
    """

    variables: dict[str, Variable] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    # In place of `variables`, until that is asked for: most callers want a few of the variables that were opened.
    _plain: PlainVariables | None = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def of_plain(cls, plain: PlainVariables, aliases: dict[str, str]) -> Weights:
        """Weights of which a `Variable` is made when it is asked for."""
        weights = cls(aliases=aliases)
        weights._plain = plain
        del weights.variables
        return weights

    def __getattr__(self, name: str) -> Any:
        # Called where a slot is empty: `variables` is, as long as there is `_plain`.
        if name != "variables":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
        with _MAKING:
            if self._plain is not None:  # else another thread was first
                self.variables = self._plain.variables()
        return object.__getattribute__(self, "variables")

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name == "variables":
            object.__setattr__(self, "_plain", None)

    @property
    def all_plain(self) -> bool:
        """Whether each variable is known to be a plain tensor in one chunk, without a look at it."""
        return self._plain is not None

    @property
    def parts(self) -> DataParts | None:
        """The data parts of the artifact, if each variable is known to lie in one."""
        return None if self._plain is None else self._plain.parts

    def spans(self) -> Spans | None:
        """Where the bytes of all variables are, if that can be said by columns; `None` if not."""
        return None if self._plain is None else self._plain.spans()

    def has_variable(self, path: str) -> bool:
        """Whether `path` is a variable's own path, and no alias."""
        return path in (self.variables if self._plain is None else self._plain)

    def add(self, path: str, tensor: Tensor, *, role: str, trainable: bool = True) -> Variable:
        """Append a variable.

        Raises:
            InvalidError: ``path-form``, or ``path-collision`` for a path that is taken.
        """
        paths.check_path(path, DOCUMENT)
        if path in self.variables or path in self.aliases:
            raise error("path-collision", where=DOCUMENT, found=shown(path))
        self.variables[path] = Variable(tensor, role, trainable)
        return self.variables[path]

    def resolve(self, path: str) -> str:
        """The variable's own path for a path or an alias."""
        return self.aliases.get(path, path)

    def __getitem__(self, path: str) -> Variable:
        own, plain = self.resolve(path), self._plain
        return self.variables[own] if plain is None else plain[own]

    def __iter__(self) -> Iterator[str]:
        return iter(self.variables if self._plain is None else self._plain.paths())

    def __len__(self) -> int:
        return len(self.variables if self._plain is None else self._plain)

    def __contains__(self, path: object) -> bool:
        return path in (self.variables if self._plain is None else self._plain) or path in self.aliases


def decode_bytes(data: bytes, parts: DataParts, limits: Limits = DEFAULT_LIMITS) -> Weights | None:
    """What `decode` makes of the bytes of a document, if it can be had without their tree; `None` if not."""
    found = plain_weights.read(data, parts, limits)
    return None if found is None else Weights.of_plain(*found)


def decode(tree: dict[str, Json], parts: DataParts, limits: Limits = DEFAULT_LIMITS) -> Weights:
    """Decode the tree of `weights.json`.

    Args:
        tree: as `etui.canonical.json.decode` gives it.
        parts: the data parts that the chunks name.
        limits: the reader's limits.

    Raises:
        RejectError: with the code of the clause that the document breaks.
    """
    context, extra = open_document(tree, DOCUMENT, limits, {"variables", "aliases"})
    entries = context.typed(tree, "variables", dict, "")
    aliases = context.typed(tree, "aliases", dict, "")
    if len(entries) + len(aliases) > limits.variables:
        raise error("limit-variables", where=DOCUMENT, found=f"{len(entries)} variables, {len(aliases)} aliases")
    decoder = TensorDecoder(context, parts)
    orders = []
    for path, entry in entries.items():
        paths.check_path(path, DOCUMENT, limits)
        tensor = decoder.decode(entry, path, _VARIABLE_FIELDS)
        order, role, trainable = entry["order"], entry["role"], entry["trainable"]
        if type(order) is not int or order < 0 or type(trainable) is not bool or type(role) is not str or not role:
            raise context.fail(path, "order, role or trainable has another form")
        orders.append((order, path, Variable(tensor, role, trainable)))
    orders.sort(key=lambda item: item[0])
    for index, (order, path, _) in enumerate(orders):
        if order != index:
            raise error("weights-order", where=context.place(path), found=f"order {order} in the place of {index}")
    variables = {path: variable for _, path, variable in orders}
    for path, target in aliases.items():
        paths.check_path(path, DOCUMENT, limits)
        context.typed(aliases, path, str, "aliases")
        if path in variables or target not in variables:
            raise error("alias-target", where=context.place(f"aliases/{path}"), found=shown(target))
    paths.check_no_collisions([*variables, *aliases], DOCUMENT)
    return Weights(variables, aliases, extra)


def encode(weights: Weights, placed: Placed, version: str) -> dict[str, Json]:
    """The tree of `weights.json`, for tensors that were written as `placed` says."""
    return {
        "format": "etui-weights",
        "version": version,
        "variables": {
            path: {
                **encode_entry(variable.tensor, path, placed),
                "order": order,
                "role": variable.role,
                "trainable": variable.trainable,
            }
            for order, (path, variable) in enumerate(weights.variables.items())
        },
        "aliases": weights.aliases,
        **weights.extra,
    }


def encode_bytes(weights: Weights, placed: Placed, version: str) -> bytes | None:
    """The canonical bytes of the tree that `encode` gives, if they can be had without it; `None` if not."""
    return None if weights.extra else plain_writing.write(weights.variables, weights.aliases, placed, version)


def tensors(weights: Weights) -> Iterator[tuple[str, Tensor]]:
    """The tensors that the document refers to, by name, in writing order."""
    for path, variable in weights.variables.items():
        yield path, variable.tensor
