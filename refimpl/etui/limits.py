"""The limits of SPEC.md (chapter Limits) and the object that carries them to every decoder."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds that a reader checks before it allocates.

    The defaults are those of SPEC.md and bind writers too. A reader may be given lower ones.

    Attributes:
        document_bytes: size of one JSON or MessagePack document, in bytes.
        depth: nesting of arrays and maps in a document.
        string_bytes: one string or byte string in a document, in bytes of UTF-8.
        integer_digits: decimal digits of a tagged integer.
        safetensors_header_bytes: header of one safetensors part, in bytes (the limit of the official library).
        parts: parts of one artifact.
        variables: entries of one tensor index.
        modules: modules of one config, counted over all levels.
        chunk_corners: chunks of one tensor, times 2 for each dimension that they cut.
        rank: number of dimensions of a tensor.
        tensor_bytes: logical size of one tensor, in bytes.
        path_bytes: a variable path or module path, in bytes of UTF-8.
        segment_bytes: one segment of a path, in bytes of UTF-8.
        part_name_bytes: a part's name, in bytes.
        inline_tensor_bytes: data of one tensor written inside a document, in bytes.
        foreign_inflation: largest ratio of inflated to stored size in a foreign archive or dataset.
        foreign_bytes: sum of the declared sizes of everything in one foreign file, in bytes.
        foreign_objects: groups, datasets and members in one foreign file.
    """

    document_bytes: int = 512 * MIB
    depth: int = 128
    string_bytes: int = 64 * MIB
    integer_digits: int = 1024
    safetensors_header_bytes: int = 100_000_000
    parts: int = 100_000
    variables: int = 4_000_000
    modules: int = 1_000_000
    chunk_corners: int = 2**22
    rank: int = 32
    tensor_bytes: int = 2**48
    path_bytes: int = 4096
    segment_bytes: int = 255
    part_name_bytes: int = 255
    inline_tensor_bytes: int = MIB
    foreign_inflation: int = 200
    foreign_bytes: int = 2**40
    foreign_objects: int = 1_000_000


DEFAULT_LIMITS = Limits()
