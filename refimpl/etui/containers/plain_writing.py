"""`weights.json` written as text, where every variable is a plain tensor in one chunk (SPEC.md chapter 12).

The counterpart of `etui.containers.plain_weights`: what is not of that kind is left to `etui.containers.weights`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from json.encoder import encode_basestring

from etui import columns, paths
from etui.canonical import json
from etui.canonical.numbers import MAX_INTEGER
from etui.containers.cover import Shape
from etui.containers.tensor_index import Placed
from etui.containers.variable import Variable
from etui.limits import DEFAULT_LIMITS

LEAST_VARIABLES = 128
"""A document of fewer variables is written by way of its tree, which takes no time there."""

_LONGEST_ROLE = 1024


def write(variables: Mapping[str, Variable], aliases: dict[str, str], placed: Placed, version: str) -> bytes | None:
    """The bytes of `weights.json` without fields of a newer version; `None` where this way of writing does not do.

    Args:
        variables: in the model's order.
        aliases: of the document.
        placed: the chunks of each tensor.
        version: of the specification.
    """
    if len(variables) < LEAST_VARIABLES or type(version) is not str:
        return None
    names = list(variables)
    joined = "/".join(names)
    # Then no name needs an escape, and names sort as Python sorts them.
    if not paths.all_sound(names) or '"' in joined or not columns.in_bmp(joined):
        return None
    entries = _entries(variables, placed)
    if entries is None:
        return None
    body = ",".join([entries[place] for place in sorted(range(len(names)), key=names.__getitem__)])
    head = f'{{"aliases":{json.encode_tree(aliases).decode()},"format":"etui-weights","variables":{{'
    try:
        data = f'{head}{body}}},"version":{encode_basestring(version)}}}'.encode()
    except UnicodeEncodeError:  # a lone surrogate in a role, which the other way names
        return None
    return data if len(data) <= DEFAULT_LIMITS.document_bytes else None


def _entries(variables: Mapping[str, Variable], placed: Placed) -> list[str] | None:
    rests: dict[tuple[str, str, Shape, bool], tuple[str, str]] = {}
    entries = []
    for order, (path, variable) in enumerate(variables.items()):
        tensor, role, trainable = variable.tensor, variable.role, variable.trainable
        chunks = placed.get(path)
        if chunks is None or len(chunks) != 1 or tensor.encoding is not None or tensor.extra:
            return None
        part, stored, digest, offset, _ = chunks[0]
        if offset is not None or (stored and stored != path) or type(role) is not str or type(trainable) is not bool:
            return None
        key = (tensor.dtype, role, tensor.shape, trainable)
        known = rests.get(key)
        if known is None:
            if len(role) > _LONGEST_ROLE or type(tensor.dtype) is not str:
                return None
            shape = ",".join(map(str, tensor.shape))
            rest = f'"role":{encode_basestring(role)},"shape":[{shape}],"trainable":{str(trainable).lower()}}}'
            known = rests[key] = (f'"}}],"dtype":{encode_basestring(tensor.dtype)},"order":', rest)
        middle, rest = known
        entries.append(
            f'"{path}":{{"chunks":[{{"digest":"{digest}","part":"{part}","tensor":"{stored}{middle}{order},{rest}'
        )
    # Among equal keys are those with 1 in place of `True`, and numbers that JSON has no form for.
    extents = set(chain.from_iterable(variable.tensor.shape for variable in variables.values()))
    kinds = set(map(type, chain.from_iterable(variable.tensor.shape for variable in variables.values())))
    return entries if kinds <= {int} and max(extents, default=0) <= MAX_INTEGER else None
