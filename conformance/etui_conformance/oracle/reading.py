"""An artifact's parts read into CONTENT, with every refusal of chapters 2 to 18 (SPEC.md).

The manifest comes first, then the documents one by one, then what they say of each other; data parts are looked at when
their tensors are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

from etui_conformance.oracle import (
    config,
    content,
    core_modules,
    json,
    manifest,
    msgpack,
    optimizer,
    safetensors,
    state,
    training,
    values,
    weights,
)
from etui_conformance.oracle.content import Content, Tensor
from etui_conformance.oracle.dtypes import SAFETENSORS
from etui_conformance.oracle.errors import Refusal, pointer
from etui_conformance.oracle.forms import Form
from etui_conformance.oracle.manifest import Manifest, check_version
from etui_conformance.oracle.names import MANIFEST
from etui_conformance.oracle.parts import KINDS, PARTS, Kind
from etui_conformance.oracle.tensor_index import Chunk, Entry


@dataclass(slots=True)
class Document:
    """A document that passed the checks that need no other.

    Attributes:
        kind: of the document.
        tree: its value, or the JSON view of it.
        form: its checks, with the references that they met.
        index: its tensors.
        aliases: of weights: paths to variables.
        config: of a config: what the walk met.
        named: of an optimizer: places and paths of the variables of its groups.
    """

    kind: Kind
    tree: dict[str, Any]
    form: Form
    index: dict[str, Entry] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    config: config.Config | None = None
    named: optimizer.Named = field(default_factory=list)


def read(parts: Mapping[str, bytes], *, full: bool = False) -> Content:
    """What an artifact means.

    Args:
        parts: name -> bytes, `manifest.json` among them.
        full: whether to verify all bytes (H-7), and refuse parts that are not listed, rather than what is handed out.

    Raises:
        Refusal: the artifact breaks a clause.
    """
    artifact = Artifact(parts)
    if full:
        artifact.verify()
    return artifact.content()


def check_document(kind: str, data: bytes) -> None:
    """Check one document as one of an artifact in which all that it names is there.

    Args:
        kind: `manifest`, `config`, `weights`, `training`, `optimizer` or `state`.
        data: the document.

    Raises:
        Refusal: it breaks a clause.
        KeyError: there is no such kind.
    """
    if kind == "manifest":
        listed = manifest.read(data)
        _check_foreign(listed.references)
        _check_assets(listed.references, listed)
        return
    document = read_document(KINDS[kind], data)
    own = KINDS[kind].index == "tensors"
    _check_foreign([one for one in document.form.references if not (own and one[1] == "$stored")])
    if document.config is not None:
        _check_modules(document.form.references, document.config)
    chunks = (chunk for entry in document.index.values() for chunk, _ in entry.all_chunks())
    for (part, tensor), count in Counter((chunk.part, chunk.tensor) for chunk in chunks).items():
        if count > 1:
            raise Refusal("tensor-unreferenced", pointer(part, tensor), f"{count} chunks name it")


def identity(parts: Mapping[str, bytes]) -> str:
    """The identity of an artifact (H-8)."""
    return manifest.digest(parts[MANIFEST])


def read_document(kind: Kind, data: bytes, version: str | None = None) -> Document:
    """A document of its bytes, checked as far as it alone shows.

    Args:
        kind: of the document.
        data: its bytes.
        version: that it must have, if it is known.
    """
    if kind.part.endswith(".msgpack"):
        tree = values.view(msgpack.decode(data, kind.part), kind.part)
    else:
        tree = json.decode(data, kind.part)
    if tree.get("format") != kind.format:
        raise Refusal(kind.form, pointer(kind.part, "format"), f"not {kind.format}")
    at = pointer(kind.part, "version")
    form = Form(kind.part, kind.form, check_version(tree.get("version"), at))
    if version is not None and tree["version"] != version:
        raise Refusal("version-form", at, f"not {version}, as the manifest")
    document = Document(kind, tree, form)
    if kind.role == "config":
        document.config = config.read(form, tree)
    elif kind.role == "training":
        training.check(form, tree)
    elif kind.role == "weights":
        found = weights.read(form, tree)
        document.index, document.aliases = found.variables, found.aliases
    elif kind.role == "optimizer":
        document.index, document.named = optimizer.read(form, tree)
    else:
        document.index = state.read(form, tree)
    return document


class Artifact:
    """An artifact whose manifest and documents passed all checks; its data parts are read when they are needed.

    Attributes:
        parts: name -> bytes.
        manifest: the root.
        documents: by role.
    """

    def __init__(self, parts: Mapping[str, bytes]) -> None:
        """Open an artifact.

        Raises:
            Refusal: the manifest or a document breaks a clause, or a listed part is not there in its size.
        """
        if MANIFEST not in parts:
            raise Refusal("manifest-missing", MANIFEST, "not there")
        self.parts = parts
        self.manifest: Manifest = manifest.read(parts[MANIFEST])
        _check_presence(self.manifest, parts)
        self.documents: dict[str, Document] = {}
        for kind in KINDS.values():
            if kind.role in self.manifest.roles:
                self._check_digest(kind.part)
                self.documents[kind.role] = read_document(kind, parts[kind.part], self.manifest.version)
        self._check_references()
        self._check_requires()

    @property
    def identity(self) -> str:
        """The identity of the artifact (H-8)."""
        return identity(self.parts)

    def tensor(self, role: str, name: str, box: Sequence[Sequence[int]] | None = None) -> Tensor:
        """A tensor of a document, or a box of it.

        Args:
            role: `weights`, `optimizer` or `state`.
            name: the path of a variable or an alias, or the name of a tensor.
            box: [start, stop] of each dimension; all of the tensor for `None`.

        Raises:
            Refusal: the tensor's bytes are not what the document says, or the data part breaks a clause.
            KeyError: there is no such tensor.
        """
        document = self.documents[role]
        entry = document.index[document.aliases.get(name, name)]
        return content.box_of(content.load(entry, self._fetch), box)

    def content(self, *, tensors: bool = True) -> Content:
        """What the artifact means; without the tensors themselves, and any look at the data parts, if not `tensors`."""
        tree = self.manifest.tree
        found: Content = {"profile": tree["profile"]}
        if "metadata" in tree:
            found["metadata"] = tree["metadata"]
        found |= {role: bare(document.kind, document.tree) for role, document in self.documents.items()}
        indexed = {role: document for role, document in self.documents.items() if document.kind.index}
        if tensors and indexed:
            found["tensors"] = {
                role: {name: self.tensor(role, name) for name in document.index} for role, document in indexed.items()
            }
        others = {
            name: self._part(name, entry) for name, entry in self.manifest.parts.items() if is_other(entry["role"])
        }
        return found | ({"parts": others} if others else {})

    def verify(self) -> None:
        """Check every byte (H-7).

        Raises:
            Refusal: a part, a tensor or a digest is not as it should be, or a part is not listed.
        """
        unlisted = sorted(self.parts.keys() - self.manifest.parts.keys() - {MANIFEST})
        if unlisted:
            raise Refusal("part-unlisted", unlisted[0], "the manifest does not list it")
        for name, entry in self.manifest.parts.items():
            if is_other(entry["role"]):
                self._check_digest(name)
        self._headers  # noqa: B018 (checks the data parts, of which a document may name none)
        for document in self.documents.values():
            for tensor in document.index.values():
                content.load(tensor, self._fetch)

    def _part(self, name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
        self._check_digest(name)
        fields = ("role", "media_type", "framework", "framework_version", "bindings")
        return {"data": bytes(self.parts[name])} | {key: entry[key] for key in fields if key in entry}

    def _check_digest(self, name: str) -> None:
        if manifest.digest(self.parts[name]) != self.manifest.parts[name]["digest"]:
            raise Refusal("digest-mismatch", name, "not the bytes that the manifest lists")

    def _check_references(self) -> None:
        """Refuse what is named and is not there, as far as it is no tensor of a data part (V-10, C-6, C-13, O-11)."""
        found = list(self.manifest.references)
        for document in self.documents.values():
            own = document.kind.index == "tensors"
            found += [one for one in document.form.references if not (own and one[1] == "$stored")]
        _check_foreign(found)
        self._check_chunk_parts()
        read_config = self.documents["config"].config if "config" in self.documents else None
        _check_modules(found, read_config or config.Config())
        _check_assets(found, self.manifest)
        if "weights" in self.documents:
            self._check_variables(found, read_config)

    def _check_chunk_parts(self) -> None:
        """Refuse chunks that name no data part (W-10)."""
        data = set(self.manifest.of_role("data"))
        for chunk, _ in self._chunks():
            if chunk.part not in data:
                raise Refusal("reference-missing", chunk.at, f"no data part {chunk.part!r}")

    def _chunks(self) -> Iterator[tuple[Chunk, str]]:
        """Each chunk of the artifact, with the dtype of its elements."""
        for document in self.documents.values():
            for entry in document.index.values():
                yield from entry.all_chunks()

    def _check_variables(self, found: Sequence[tuple[str, str, Any]], read_config: config.Config | None) -> None:
        index, aliases = self.documents["weights"].index, self.documents["weights"].aliases
        named = [(at, path) for at, tag, path in found if tag == "$variable"]
        for at, path in [*named, *(read_config.params if read_config else ())]:
            if path not in index and path not in aliases:
                raise Refusal("reference-missing", at, f"no variable {path!r}")
        if "optimizer" in self.documents:
            for at, path in self.documents["optimizer"].named:
                if path not in index:
                    raise Refusal("reference-missing", at, f"no variable {path!r}, or an alias")
        for at, module in read_config.core if read_config else ():
            core_modules.check_shapes(
                module, at, {path: index[aliases.get(path, path)].shape for path in [*index, *aliases]}
            )

    def _check_requires(self) -> None:
        """Refuse features that are used and not listed, or listed and not used (M-4)."""
        used = features(
            self.manifest.parts.values(),
            self.documents["config"].config if "config" in self.documents else None,
            (entry for document in self.documents.values() for entry in document.index.values()),
        )
        if used != set(self.manifest.tree["requires"]):
            raise Refusal("requires-list", pointer(MANIFEST, "requires"), f"the artifact uses {sorted(used)}")

    @cached_property
    def _headers(self) -> dict[str, dict[str, safetensors.Entry]]:
        """The tensors of each data part, after all checks of data parts and chunks but those of bytes (S-1 to S-9)."""
        headers = {name: self._header(name) for name in self.manifest.of_role("data")}
        chunks = list(self._chunks())
        named = Counter((chunk.part, chunk.tensor) for chunk, _ in chunks)
        for part, entries in headers.items():
            for tensor in entries:
                if named[part, tensor] != 1:
                    raise Refusal("tensor-unreferenced", pointer(part, tensor), f"{named[part, tensor]} chunks name it")
        for chunk, dtype in chunks:
            _check_chunk(chunk, dtype, headers)
        return headers

    def _header(self, name: str) -> dict[str, safetensors.Entry]:
        data, header = self.parts[name], self.manifest.parts[name]["header"]
        if manifest.digest(data[: header["size"]]) != header["digest"]:
            raise Refusal("digest-mismatch", name, "not the header that the manifest lists")
        size, entries = safetensors.read(data, name)
        if size != header["size"]:
            raise Refusal(
                "digest-mismatch", name, f"a header of {size} bytes, where the manifest says {header['size']}"
            )
        return entries

    def _fetch(self, chunk: Chunk) -> bytes:
        """The bytes of a chunk, verified (H-6)."""
        entry = self._headers[chunk.part][chunk.tensor]
        data = bytes(self.parts[chunk.part][entry.begin : entry.end])
        if f"sha256:{sha256(data).hexdigest()}" != chunk.digest:
            raise Refusal("digest-mismatch", chunk.at, "not the bytes of the digest")
        return data


def is_other(role: str) -> bool:
    """Whether parts of a role are neither documents nor data."""
    return role in ("asset", "program", "native")


def bare(kind: Kind, tree: Mapping[str, Any]) -> dict[str, Any]:
    """A document without what says where its tensors lie."""
    if kind.index is None:
        return dict(tree)
    index = {
        name: {key: value for key, value in entry.items() if key not in ("chunks", "components")}
        for name, entry in tree[kind.index].items()
    }
    return {**tree, kind.index: index}


def features(entries: Any, read_config: config.Config | None, tensors: Any) -> set[str]:
    """The features of chapter 18.2 that an artifact uses.

    Args:
        entries: those of the manifest's parts.
        read_config: the config, if there is one.
        tensors: the entries of all indices.
    """
    used = {feature for entry in tensors for feature in entry.features()}
    if read_config is not None and read_config.opaque:
        used.add("opaque")
    if any(entry["role"] == "program" for entry in entries):
        used.add("programs")
    return used


def _check_presence(listed: Manifest, parts: Mapping[str, bytes]) -> None:
    """Refuse listed parts that are not there, or not in their size (F-3, F-4)."""
    for name, entry in listed.parts.items():
        if name not in parts:
            raise Refusal("part-missing", pointer(PARTS, name), "not there")
        if len(parts[name]) != entry["size"]:
            raise Refusal("part-size", name, f"{len(parts[name])} bytes, where the manifest says {entry['size']}")


def _check_foreign(references: Sequence[tuple[str, str, Any]]) -> None:
    """Refuse outputs outside of graphs, and stored tensors outside of documents that have some (C-13, V-10)."""
    for at, tag, found in references:
        if tag in ("$output", "$stored"):
            raise Refusal("reference-missing", at, f"{tag} {found!r} has nothing to name here")


def _check_modules(references: Sequence[tuple[str, str, Any]], read_config: config.Config) -> None:
    for at, tag, path in references:
        if tag == "$module" and path not in read_config.kinds:
            raise Refusal("reference-missing", at, f"no module {path!r}")


def _check_assets(references: Sequence[tuple[str, str, Any]], listed: Manifest) -> None:
    for at, tag, name in references:
        if tag == "$asset" and listed.parts.get(name, {}).get("role") != "asset":
            raise Refusal("reference-missing", at, f"no asset {name!r}")


def _check_chunk(chunk: Chunk, dtype: str, headers: Mapping[str, Mapping[str, safetensors.Entry]]) -> None:
    """Refuse a chunk that names no tensor of a data part, or one of another dtype or shape (W-4, W-9, W-10)."""
    entry = headers.get(chunk.part, {}).get(chunk.tensor)
    if entry is None:
        raise Refusal("reference-missing", chunk.at, f"no tensor {chunk.tensor!r} in {chunk.part!r}")
    if entry.dtype != SAFETENSORS[dtype] or entry.shape != chunk.shape:
        raise Refusal("chunk-mismatch", chunk.at, f"the tensor is {entry.dtype} {list(entry.shape)}")
