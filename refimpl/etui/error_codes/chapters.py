"""Codes of the chapters of SPEC.md: what can be wrong with an artifact."""

from __future__ import annotations

from etui.error_codes.entry import COPY, LIMIT, NEWER, RENAME, REPORT, Rows

_JSON = "Re-encode the document with a canonical JSON writer (RFC 8785)."
_MSGPACK = "Re-encode the document with a canonical MessagePack writer (chapter 4)."
_BOTH = "Get the artifact and its signature again, from whom you have the key."
_WRITE = "Write the artifact again with `etui convert`."

ROWS: Rows = {
    # 2 Terms and data model
    "path-form": ("invalid", "D-2", "not a path", "Escape the characters as `%XX` (D-3)."),
    "path-collision": ("invalid", "D-4", "two paths that are equal after NFC", RENAME),
    "dtype-unknown": ("invalid", "D-7", "an unknown dtype", "Use a dtype of chapter 2.1."),
    "bool-value": ("invalid", "D-8", "a bool element that is neither 0 nor 1", REPORT),
    "shape-form": ("invalid", "D-10", "a shape that is no list of non-negative integers", REPORT),
    # 3 Canonical JSON
    "json-encoding": ("malformed", "J-1", "not UTF-8 without a byte order mark", _JSON),
    "json-syntax": ("malformed", "J-2", "not one JSON object", _JSON),
    "json-duplicate-key": ("invalid", "J-3", "a key that occurs twice in an object", REPORT),
    "json-surrogate": ("malformed", "J-5", "a lone surrogate in a string", REPORT),
    "json-number": ("invalid", "J-6", "a number that no document may hold so", "Tag the number (chapter 5)."),
    "json-not-canonical": ("invalid", "J-7", "JSON that is not in canonical form", _JSON),
    "json-depth": ("malformed", "J-8", "JSON that is nested too deep", LIMIT),
    # 4 Canonical MessagePack
    "msgpack-syntax": ("malformed", "B-1", "not one MessagePack map", COPY),
    "msgpack-not-canonical": ("invalid", "B-2", "MessagePack that is not in canonical form", _MSGPACK),
    "msgpack-encoding": ("malformed", "B-5", "a string that is not UTF-8", _MSGPACK),
    "msgpack-key": ("invalid", "B-6", "a map key that is not a string", "Write it as `$map` (chapter 5)."),
    "msgpack-duplicate-key": ("invalid", "B-7", "a key that occurs twice in a map", REPORT),
    "msgpack-extension": ("invalid", "B-9", "an extension that is not a stored tensor's name", REPORT),
    "msgpack-depth": ("malformed", "B-11", "MessagePack that is nested too deep", LIMIT),
    # 5 Values
    "value-tag": ("invalid", "V-1", "an unknown tag, or a tag with content of another form", REPORT),
    "value-not-canonical": ("invalid", "V-3", "a value in another form than its only one", REPORT),
    "value-limit": ("limit", "V-8", "a value that is too large", LIMIT),
    "reference-missing": ("invalid", "V-10", "a reference to something that is not there", REPORT),
    # 6 Digests
    "digest-form": ("invalid", "H-1", "not a digest", "Write `sha256:` and 64 lowercase hex digits."),
    "digest-algorithm": ("unsupported", "H-3", "an unknown digest algorithm", NEWER),
    "digest-mismatch": ("integrity", "H-5", "bytes that do not have their digest", COPY),
    "signature-form": ("malformed", "H-9", "not a signature of an artifact", "Sign the artifact with `etui sign`."),
    "signature-key": ("integrity", "H-10", "a signature by another key", "Get the public key of whoever signed it."),
    "signature-invalid": ("integrity", "H-10", "a signature that the key does not confirm", _BOTH),
    "signature-identity": ("integrity", "H-11", "a signature of something else", _BOTH),
    # 7 Parts
    "part-name": ("unsafe", "P-1", "an illegal part name", "Do not extract it with other tools either."),
    "part-collision": ("unsafe", "P-3", "two part names that a file system may take as one", RENAME),
    "part-role": ("invalid", "P-4", "a part whose name, role or media type do not go together", _WRITE),
    # 8 Directory form
    "part-not-a-file": ("unsafe", "F-1", "a part that is not a regular file", "Put the file itself there."),
    "manifest-missing": ("invalid", "F-2", "no manifest", "Write the artifact to its end: the manifest comes last."),
    "part-missing": ("integrity", "F-3", "a listed part that is not there", COPY),
    "part-size": ("integrity", "F-4", "a part that is not of its listed size", COPY),
    "part-unlisted": ("invalid", "F-5", "a file that the manifest does not list", "Move the file elsewhere."),
    # 9 Packed form
    "zip-members": ("invalid", "Z-1", "members that are not the manifest and the parts it lists", _WRITE),
    "zip-order": ("invalid", "Z-2", "members in another order than the canonical one", _WRITE),
    "zip-field": ("invalid", "Z-3", "a ZIP header field that is not as it must be", _WRITE),
    "zip-alignment": ("invalid", "Z-4", "a member that is not aligned as it must be", _WRITE),
    "zip-zip64": ("invalid", "Z-5", "a zip64 record where none belongs, or none where one belongs", _WRITE),
    "zip-layout": ("malformed", "Z-8", "bytes that belong to no record of the archive, or to two", _WRITE),
    "zip-truncated": ("malformed", "Z-11", "a ZIP archive without its end", COPY),
    # 10 Manifest
    "manifest-form": ("invalid", "M-1", "a manifest of another form", REPORT),
    "requires-list": ("invalid", "M-4", "`requires` is not the sorted list of the used features", REPORT),
    "feature-unknown": ("unsupported", "M-5", "a required feature that this reader lacks", NEWER),
    "profile-parts": ("invalid", "M-6", "documents that do not make up the profile", REPORT),
    # 11 Data parts
    "safetensors-header": ("malformed", "S-2", "not the header of a data part", _WRITE),
    "safetensors-layout": ("invalid", "S-5", "tensors that do not lie as they must", _WRITE),
    "safetensors-dtype": ("invalid", "S-7", "a dtype that no plain tensor has", REPORT),
    "tensor-unreferenced": ("invalid", "S-9", "a tensor that is not referred to exactly once", REPORT),
    # 12 Weights
    "weights-form": ("invalid", "W-1", "a weights document of another form", REPORT),
    "weights-order": ("invalid", "W-3", "orders that are not 0 to n - 1, each once", REPORT),
    "chunk-mismatch": ("invalid", "W-4", "a chunk whose tensor has another dtype or shape", REPORT),
    "chunk-form": ("invalid", "W-5", "chunks of another form", REPORT),
    "chunk-cover": ("invalid", "W-7", "chunks with a gap or an overlap", REPORT),
    "alias-target": ("invalid", "W-15", "an alias that does not lead to a variable", REPORT),
    "encoding-unknown": ("invalid", "W-16", "an unknown encoding", "Use an encoding of chapter 12.3."),
    "encoding-components": ("invalid", "W-17", "components that are not those of the encoding", REPORT),
    "encoding-content": ("invalid", "W-18", "bytes that the encoding does not allow", REPORT),
    # 13 Config
    "config-form": ("invalid", "C-1", "a config document of another form", REPORT),
    "module-name": ("invalid", "C-2", "a module without a name of its own", REPORT),
    "module-kind": ("invalid", "C-3", "a module of an unknown kind or with fields of another", REPORT),
    "op-form": ("invalid", "C-8", "an op or class that is not `namespace:name`", REPORT),
    "op-unknown": ("unsupported", "C-9", "an op that the core vocabulary does not define", NEWER),
    "call-form": ("invalid", "C-11", "a call of another form", REPORT),
    "call-order": ("invalid", "C-12", "a call that uses the output of a later one", REPORT),
    "shared-order": ("invalid", "C-15", "a shared module before the module that it shares", REPORT),
    # 14 Training, 15 Optimizer, 16 State
    "training-form": ("invalid", "T-1", "a training document of another form", REPORT),
    "optimizer-form": ("invalid", "O-1", "an optimizer document of another form", REPORT),
    "optimizer-groups": ("invalid", "O-7", "groups, slots and fresh variables that do not agree", REPORT),
    "tensor-name": ("invalid", "O-16", "a tensor that is not named after its place", REPORT),
    "state-form": ("invalid", "R-1", "a state document of another form", REPORT),
    # 18 Profiles and versions
    "version-form": ("invalid", "Q-4", "a version that is not the artifact's `major.minor`", REPORT),
    "version-unsupported": ("unsupported", "Q-5", "a major version that this reader lacks", NEWER),
    # 19 Limits
    "limit-document": ("limit", "L-2", "a document that is too large", LIMIT),
    "limit-parts": ("limit", "L-2", "too many parts", LIMIT),
    "limit-variables": ("limit", "L-2", "too many tensors in one index", LIMIT),
    "limit-chunks": ("limit", "L-2", "a tensor in too many chunks", LIMIT),
    "limit-modules": ("limit", "L-2", "too many modules", LIMIT),
    "limit-rank": ("limit", "L-2", "a shape of too many dimensions", LIMIT),
    "limit-tensor": ("limit", "L-2", "a tensor of too many bytes", LIMIT),
    "limit-path": ("limit", "L-2", "a path, segment or part name that is too long", LIMIT),
    # 20 Errors
    "zip-crc": ("integrity", "E-4", "a member whose data does not have its CRC-32", COPY),
}
