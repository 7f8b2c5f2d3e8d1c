"""The pages of the JSON Schemas: a page for each, with its fields, its clauses and its text, and a list of all."""

from __future__ import annotations

import json
import posixpath
from pathlib import Path
from typing import Any

INDEX = "schemas.md"
SUFFIX = ".schema.json"
_GROUPS = {
    "": "Documents of the format",
    "core": "The core vocabulary",
    "cli": "What the commands print",
    "conformance": "The conformance suite",
}
_RULES = (
    "minimum", "maximum", "exclusiveMinimum", "minItems", "maxItems", "minLength", "maxLength", "minProperties",
    "maxProperties", "pattern", "format", "uniqueItems",
)  # fmt: skip


def pages(folder: Path) -> dict[str, str]:
    """The text of each page, by its place on the site."""
    schemas = {path.relative_to(folder).as_posix(): _read(path) for path in _files(folder)}
    made = {f"schemas/{_page(name)}": _schema(name, schema, folder) for name, schema in schemas.items()}
    return {INDEX: _index(schemas), **made}


def raw(folder: Path) -> dict[str, Path]:
    """Each schema as a file, by its place on the site, which is that of its `$id`."""
    return {f"schemas/1.0/{path.relative_to(folder).as_posix()}": path for path in _files(folder)}


def place(path: str) -> str | None:
    """The page of a schema, by its path in the repository."""
    return f"schemas/{_page(path.removeprefix('schemas/'))}" if path.endswith(SUFFIX) else None


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob(f"*{SUFFIX}") if "examples" not in path.relative_to(folder).parts)


def _read(path: Path) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


def _page(name: str) -> str:
    return f"{name.removesuffix(SUFFIX)}.md"


def _title(name: str, schema: dict[str, Any]) -> str:
    return str(schema.get("title", name)).removeprefix("Etui: ").removeprefix("Etui conformance: ")


def _index(schemas: dict[str, dict[str, Any]]) -> str:
    lines = [
        "# JSON Schemas",
        "",
        "A JSON Schema (2020-12) for each document of the format, of the commands and of the conformance suite.",
        "They are as strict as a schema can be; what none can say, each says under *Not here*.",
        "SPEC.md is the law: where a schema differs from it, the schema is wrong.",
        "They are part of the package: `etui.schemas` reads them, and `etui validate` applies them.",
    ]
    for group, heading in _GROUPS.items():
        members = {name: schema for name, schema in schemas.items() if posixpath.dirname(name) == group}
        lines += ["", f"## {heading}", "", "| schema | describes |", "|---|---|"]
        for name, schema in members.items():
            shown = posixpath.basename(name).removesuffix(SUFFIX)
            lines.append(f"| [`{shown}`](schemas/{_page(name)}) | {_title(name, schema)} |")
    unknown = {posixpath.dirname(name) for name in schemas} - set(_GROUPS)
    if unknown:
        raise ValueError(f"folders of schemas without a heading: {sorted(unknown)}")
    return "\n".join(lines) + "\n"


def _schema(name: str, schema: dict[str, Any], folder: Path) -> str:
    up = "../" * name.count("/")
    text = (folder / name).read_text(encoding="utf-8")
    title = _title(name, schema)
    lines = [f"# {title}" if "." in title.split()[0] else f"# {title[:1].upper()}{title[1:]}", ""]
    if "description" in schema:
        lines += [schema["description"], ""]
    if "$comment" in schema:
        lines += [f"Clauses: {schema['$comment']}", ""]
    lines += [f"The schema as a file: [`{posixpath.basename(name)}`]({up}1.0/{name}). Its id: `{schema['$id']}`.", ""]
    lines += _fields(schema, name, "Fields")
    for definition, content in schema.get("$defs", {}).items():
        if isinstance(content, dict):
            comment = [str(content["$comment"]), ""] if "$comment" in content else []
            lines += [f"## {definition} {{ #defs-{definition} }}", "", *comment]
            lines += _fields(content, name, "") or [_kind(content, name) + ".", ""]
    for index, example in enumerate(schema.get("examples", [])):
        shown = json.dumps(example, indent=2, ensure_ascii=False)
        lines += ["## Examples", ""] if index == 0 else []
        lines += [f'```json title="Example {index + 1}"', shown, "```", ""]
    lines += ["## The schema", "", "```json", text.rstrip("\n"), "```"]
    return "\n".join(lines) + "\n"


def _fields(schema: dict[str, Any], name: str, heading: str) -> list[str]:
    properties = schema.get("properties", {})
    if not properties:
        return []
    required = set(schema.get("required", []))
    lines = [f"## {heading}", ""] if heading else []
    lines += ["| field | | what it is | clauses |", "|---|---|---|---|"]
    for field, content in properties.items():
        needed = "required" if field in required else ""
        clauses = content.get("$comment", "") if isinstance(content, dict) else ""
        lines.append(f"| `{field}` | {needed} | {_cell(_kind(content, name))} | {_cell(clauses)} |")
    return [*lines, ""]


def _kind(content: Any, name: str) -> str:
    """What a subschema accepts, in a few words."""
    if not isinstance(content, dict):
        return "anything" if content else "nothing"
    parts = []
    if "description" in content:
        parts.append(str(content["description"]))
    if "$ref" in content:
        parts.append(_reference(content["$ref"], name))
    if "const" in content:
        parts.append(f"`{json.dumps(content['const'], ensure_ascii=False)}`")
    if "enum" in content:
        parts.append("one of " + ", ".join(f"`{json.dumps(value, ensure_ascii=False)}`" for value in content["enum"]))
    if "type" in content:
        kinds = content["type"] if isinstance(content["type"], list) else [content["type"]]
        parts.append(" or ".join(kinds))
    parts += [f"{key} `{content[key]}`" for key in _RULES if key in content]
    if "items" in content and content["items"] is not True:
        parts.append(f"of {_kind(content['items'], name)}")
    if isinstance(values := content.get("additionalProperties"), dict) and "properties" not in content:
        parts.append(f"with values: {_kind(values, name)}")
    for key, word in (("anyOf", " or "), ("oneOf", " or ")):
        if key in content:
            parts.append(word.join(_kind(member, name) for member in content[key]))
    return ", ".join(parts) or "see the schema below"


def _reference(reference: str, name: str) -> str:
    file, _, pointer = reference.partition("#")
    definition = pointer.rpartition("/")[2]
    anchor = f"#defs-{definition}" if pointer.startswith("/$defs/") else ""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(name), file)) if file else name
    if not target.endswith(SUFFIX):
        return f"`{reference}`"
    page = posixpath.relpath(_page(target), posixpath.dirname(name) or ".") if file else ""
    shown = definition or posixpath.basename(target).removesuffix(SUFFIX)
    return f"[{shown}]({page}{anchor})" if page or anchor else "this schema again"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
