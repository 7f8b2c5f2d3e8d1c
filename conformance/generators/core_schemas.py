"""Write the JSON Schemas of the core vocabulary from the vocabulary, or check that they are those that it gives.

    python conformance/generators/core_schemas.py            # writes schemas/core/*.schema.json
    python conformance/generators/core_schemas.py --check    # says what differs, and fails if anything does

The schemas describe the tagged JSON form of `config.json` and of the JSON view of `optimizer.msgpack`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from etui import dtypes
from etui.canonical import values
from etui.core import vocabulary
from etui.core.attribute_types import FLOAT_DTYPES, INDEX_WORDS, NUMBER_DTYPES, PADDINGS, PRECISION, kind_of
from etui.core.vocabulary import NAMESPACE, Attr, Op, Rule

Schema = dict[str, Any]
_FOLDER = Path(__file__).parents[2] / "schemas" / "core"
_WIDTH = 120
_TYPES = "types.schema.json#/$defs/"
_COMMON = "../common.schema.json#/$defs/"
_DEFAULT = "a default, which is left out"


def main() -> int:
    """Write the schemas, or compare them with those in the folder; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if a schema would change")
    check = parser.parse_args().check
    stale = []
    for name, schema in schemas().items():
        path, text = _FOLDER / f"{name}.schema.json", written(schema)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
            if not check:
                path.write_text(text, encoding="utf-8")
    print(f"{'stale' if check else 'written'}: {', '.join(stale) or 'none'}")
    return 1 if check and stale else 0


def schemas() -> dict[str, Schema]:
    """Every schema by its name."""
    return {"names": names(), "types": types(), "objects": objects(), "ops": ops(), "optimizers": optimizers()}


def names() -> Schema:
    """The names that the namespace has, by their use."""
    uses = {
        "op": [f"{NAMESPACE}{name}" for name in vocabulary.ops()],
        "algorithm": [f"{NAMESPACE}{name}" for name in vocabulary.optimizers()],
        "class": [f"{NAMESPACE}{kind}.{name}" for kind in vocabulary.kinds() for name in vocabulary.objects(kind)],
        "generator": [],
    }
    return _schema(
        "names",
        "Etui: names, with those of the core vocabulary",
        {"$defs": {use: _name(defined) for use, defined in uses.items()}},
    )


def types() -> Schema:
    """The types of attributes, in tagged JSON."""
    return _schema("types", "Etui: types of attributes of the core vocabulary", {"$defs": dict(TYPES)})


def objects() -> Schema:
    """The content of a `$object` of each kind."""
    kinds = {kind: _kind(kind) for kind in vocabulary.kinds()}
    return _schema(
        "objects",
        "Etui: an object of the core vocabulary",
        {
            "$comment": "CV-2",
            "anyOf": [{"$ref": f"#/$defs/{kind}"} for kind in kinds],
            "$defs": kinds,
            "examples": [
                {"class": "core:activations.relu", "config": {"max_value": {"$float": "6"}}},
                {"class": "core:initializers.random_normal", "config": {"seed": 7, "stddev": 0.1}},
            ],
        },
    )


def ops() -> Schema:
    """A module of each op, in `config.json`."""
    entries = vocabulary.ops()
    return _schema(
        "ops",
        "Etui: a module of the core vocabulary",
        {
            "$comment": "CV-3. Not here: that conditional variables are there (CV-6), and their shapes (CV-7).",
            "type": "object",
            "required": ["op"],
            "properties": {"op": {"enum": [f"{NAMESPACE}{name}" for name in entries]}},
            "allOf": [_when("op", name, {"$ref": f"#/$defs/{name}"}) for name in entries],
            "$defs": {name: _op(entry) for name, entry in entries.items()},
            "examples": [
                {
                    "attrs": {"activation": "relu", "units": 4},
                    "kind": "layer",
                    "name": "dense",
                    "op": "core:dense",
                    "params": {"bias": "dense/bias", "kernel": "dense/kernel"},
                },
                {
                    "attrs": {"epsilon": 1e-5, "momentum": {"$float": "0"}},
                    "kind": "layer",
                    "name": "norm",
                    "op": "core:batch_norm",
                    "params": {
                        "beta": "norm/beta",
                        "gamma": "norm/gamma",
                        "moving_mean": "norm/moving_mean",
                        "moving_variance": "norm/moving_variance",
                    },
                },
                {"kind": "layer", "name": "add", "op": "core:add"},
            ],
        },
    )


def optimizers() -> Schema:
    """The algorithm and hyperparameters of each optimizer, in the JSON view of `optimizer.msgpack`."""
    rules = vocabulary.optimizers()
    return _schema(
        "optimizers",
        "Etui: an optimizer of the core vocabulary",
        {
            "$comment": "CO-1. Not here: its slots, and what groups have.",
            "type": "object",
            "required": ["algorithm"],
            "properties": {"algorithm": {"enum": [f"{NAMESPACE}{name}" for name in rules]}},
            "allOf": [_when("algorithm", name, {"$ref": f"#/$defs/{name}"}) for name in rules],
            "$defs": {name: _rule(rule) for name, rule in rules.items()},
            "examples": [
                {"algorithm": "core:adam", "hyperparameters": {"epsilon": 1e-8, "learning_rate": 0.001}},
                {"algorithm": "core:sgd", "hyperparameters": {"learning_rate": {"$float": "1"}, "nesterov": True}},
            ],
        },
    )


def written(schema: Schema) -> str:
    """The text of a schema: one line for what fits, else one for each member."""
    return f"{_text(schema, 0, 0)}\n"


def _schema(name: str, title: str, content: Schema) -> Schema:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://etui.dev/schemas/1.0/core/{name}.schema.json",
        "title": title,
        **content,
    }


def _name(defined: Iterable[str]) -> Schema:
    """A namespaced name, which in the namespace core is one of those that the vocabulary defines."""
    other = {"not": {"type": "string", "pattern": "^core:"}}
    known = {
        "$comment": "C-9",
        "description": "a name that the core vocabulary defines",
        "anyOf": [other, {"enum": list(defined)}] if defined else [other],
    }
    return {"$ref": f"{_COMMON}op", "allOf": [known]}


def _kind(kind: str) -> Schema:
    entries = vocabulary.objects(kind)
    return {
        "type": "object",
        "required": ["class", "config"],
        "properties": {
            "class": {"enum": [f"{NAMESPACE}{kind}.{name}" for name in entries]},
            "shared": {"type": "integer", "minimum": 0},
            "residue": {"$ref": f"{_COMMON}residue"},
        },
        "allOf": [
            {
                "if": {"properties": {"class": {"const": f"{NAMESPACE}{kind}.{name}"}}},
                "then": {"properties": {"config": _config(attrs)}},
            }
            for name, attrs in entries.items()
        ],
    }


def _config(attrs: Mapping[str, Attr]) -> Schema:
    found = _attributes(attrs)
    return found if "required" in found else {"anyOf": [{"const": None}, found]}


def _op(entry: Op) -> Schema:
    attrs = _attributes(entry.attrs)
    params: Schema = {
        "$comment": "CV-6",
        "type": "object",
        "properties": {role: {"$ref": f"{_COMMON}path"} for role in entry.params},
        "additionalProperties": False,
    }
    always = [role for role, param in entry.params.items() if not param.when]
    if always:
        params["required"] = always
    found: Schema = {"properties": {"attrs": {"$comment": "CV-3", **attrs}, "params": params}}
    required = [name for name, needed in (("attrs", "required" in attrs), ("params", bool(always))) if needed]
    return {"required": required, **found} if required else found


def _rule(rule: Rule) -> Schema:
    return {"properties": {"hyperparameters": _attributes(rule.hyperparameters)}}


def _attributes(attrs: Mapping[str, Attr]) -> Schema:
    found: Schema = {"type": "object", "properties": {name: _attribute(attr) for name, attr in attrs.items()}}
    required = [name for name, attr in attrs.items() if attr.required]
    return {**found, **({"required": required} if required else {}), "additionalProperties": False}


def _attribute(attr: Attr) -> Schema:
    found = _type(attr)
    if attr.required:
        return found
    return {
        **found,
        "allOf": [{"$comment": "CV-1", "description": _DEFAULT, "not": {"const": values.to_json(attr.default)}}],
    }


def _type(attr: Attr) -> Schema:
    if attr.choices:
        return {"enum": [*([None] if attr.nullable else []), *attr.choices]}
    if attr.type in ("by_role", "object_or_null"):
        held: Schema = {"$ref": f"{_TYPES}{kind_of(attr)}"}
        if attr.type == "by_role":
            return {"type": "object", "additionalProperties": held}
        return {"anyOf": [{"const": None}, held]}
    if attr.type == "integer" and attr.minimum is not None:
        found: Schema = {"type": "integer", "minimum": attr.minimum}
    else:
        found = {"$ref": f"{_TYPES}{attr.type}"}
    return {"anyOf": [{"const": None}, found]} if attr.nullable else found


def _when(key: str, name: str, then: Schema) -> Schema:
    return {"if": {"properties": {key: {"const": f"{NAMESPACE}{name}"}}}, "then": then}


def _text(node: Any, indent: int, before: int) -> str:
    line = json.dumps(node, ensure_ascii=False)
    if not isinstance(node, dict | list) or not node or before + len(line) < _WIDTH - 1:
        return line
    space = " " * (indent + 2)
    if isinstance(node, dict):
        keys = {key: json.dumps(key, ensure_ascii=False) for key in node}
        items = [f"{keys[key]}: {_text(item, indent + 2, indent + 4 + len(keys[key]))}" for key, item in node.items()]
    else:
        items = [_text(item, indent + 2, indent + 2) for item in node]
    opening, closing = "{}" if isinstance(node, dict) else "[]"
    inner = f",\n{space}".join(items)
    return f"{opening}\n{space}{inner}\n{' ' * indent}{closing}"


# The types. `natural` and `ends` are parts of others.

_VALUE = "../value.schema.json#/$defs/"
_OBJECTS = "objects.schema.json#/$defs/"
_NULL: Schema = {"const": None}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _any(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def _list(items: Schema, **bounds: int) -> Schema:
    return {"type": "array", "items": items, **bounds}


def _tagged(tag: str, content: Schema) -> Schema:
    return {"type": "object", "required": [tag], "properties": {tag: content}, "maxProperties": 1}


def _activation() -> Schema:
    """A plain name, or an object with parameters."""
    plain = [
        name
        for name, attrs in vocabulary.objects("activations").items()
        if not any(attr.required for attr in attrs.values())
    ]
    filled = {"properties": {"config": {"type": "object", "minProperties": 1}}}
    return _any({"enum": plain}, _tagged("$object", {"$ref": f"{_OBJECTS}activations", **filled}))


TYPES: dict[str, Schema] = {
    "boolean": {"type": "boolean"},
    "string": {"type": "string"},
    "integer": _any({"type": "integer"}, _tagged("$int", {"$ref": f"{_VALUE}integerText"})),
    "number": _any(
        {"type": "number", "not": {"type": "integer"}}, _tagged("$float", {"$ref": f"{_VALUE}integralFloatText"})
    ),
    "natural": {"type": "integer", "minimum": 0},
    "number_or_null": _any(_NULL, _ref("number")),
    "numbers": _any(_ref("number"), _list(_ref("numbers"), minItems=1)),
    "number_list": _list(_ref("number")),
    "number_list_or_null": _any(_NULL, _ref("number_list")),
    "integers": _list(_ref("integer")),
    "integers_or_null": _any(_NULL, _ref("integers")),
    "sizes": _list({"type": "integer", "minimum": 1}, minItems=1),
    "shape": _list(_any(_NULL, _ref("natural"))),
    "shape_or_null": _any(_NULL, _ref("shape")),
    "axes": _any(_NULL, _ref("integers")),
    "axis": _any(_ref("integer"), _ref("integers")),
    "axis_or_null": _any(_NULL, _ref("axis")),
    "ends": _list(_ref("natural"), minItems=2, maxItems=2),
    "pairs": _list(_ref("ends")),
    "pair": _any(_ref("integer"), _list(_ref("integer"), minItems=2, maxItems=2)),
    "padding": _any({"enum": list(PADDINGS)}, _list(_ref("ends"), minItems=1)),
    "index": _list(
        _any(
            _ref("integer"),
            {"enum": list(INDEX_WORDS)},
            _list(_any(_NULL, _ref("integer")), minItems=3, maxItems=3),
        )
    ),
    "sections": _any({"type": "integer", "minimum": 1}, _list(_ref("natural"), minItems=1)),
    "thresholds": _any(_NULL, _ref("number"), _ref("number_list")),
    "dtype": {"enum": list(dtypes.DTYPES)},
    "float_dtype": {"enum": list(FLOAT_DTYPES)},
    "number_dtype": {"enum": list(NUMBER_DTYPES)},
    "seed": _any(_NULL, _ref("integer"), {"type": "string"}),
    "activation": _activation(),
    "precision": _any(
        _NULL,
        {
            "type": "object",
            "required": list(PRECISION),
            "properties": {name: {"enum": list(FLOAT_DTYPES)} for name in PRECISION},
            "additionalProperties": False,
        },
    ),
    "term": _any({"type": "string"}, _ref("integer")),
    "term_or_null": _any(_NULL, _ref("term")),
    "terms": _any(
        {**_list({"type": "string"}, minItems=1), "uniqueItems": True},
        {**_list(_ref("integer"), minItems=1), "uniqueItems": True},
    ),
    "paths": _list({"type": "string"}),
    **{
        kind: _tagged("$object", {"$ref": f"{_OBJECTS}{kind}"})
        for kind in ("initializers", "regularizers", "constraints")
        if kind in vocabulary.kinds()
    },
}


if __name__ == "__main__":
    sys.exit(main())
