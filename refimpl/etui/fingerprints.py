"""Fingerprints of documents: the digest of what a document says, wherever its data is stored.

Data that lies in another format's file and was not read yet is hashed only where an answer depends on it. Until then
a mark stands in its place, which is the same for the same data and for no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from etui import digest
from etui.containers.data_parts import Chunk
from etui.containers.marks import mark, replaced
from etui.containers.pieces import Lazy, Piece
from etui.containers.tensor_index import Placed
from etui.containers.tensors import Tensor


class Fingerprint:
    """The fingerprint of a document as it is now; what is done to the document later does not change it.

    Args:
        encode: gives the document's canonical bytes for the places of its tensors.
        tensors: of the document, with their names. Those whose data may change are hashed here.
    """

    __slots__ = ("_content", "_marked", "_text", "_unread")

    def __init__(self, encode: Callable[[Placed], bytes], tensors: Iterable[tuple[str, Tensor]]) -> None:
        self._unread: dict[int, Piece] = {}
        content = encode(dict(self._placed(tensors)))
        self._marked = digest.of(content)
        # The content itself is kept only where a digest is still to be put into it.
        self._content = content if self._unread else b""
        self._text: str | None = None if self._unread else self._marked

    def _placed(self, tensors: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, tuple[Chunk, ...]]]:
        """Chunks that say what the tensors hold and not where it is."""
        for name, tensor in tensors:
            for physical, plain in tensor.physical(name):
                chunks = (Chunk("", "", self._digest(piece), piece.offset, piece.shape) for piece in plain.pieces)
                yield physical, tuple(chunks)

    def _digest(self, piece: Piece) -> str:
        if not (isinstance(piece.source, Lazy) and piece.source.fixed):
            return piece.digest()
        # The number is that of no other source as long as this one is kept here.
        number = id(piece.source)
        self._unread[number] = piece
        return mark(number)

    @property
    def text(self) -> str:
        """The digest; what was not read yet is hashed for it.

        Raises:
            RejectError: data that is refused when it is read.
            StorageError: data that cannot be read.
        """
        if self._text is None:
            self._text = digest.of(replaced(self._content, lambda number: self._unread[number].digest()))
        return self._text

    def same(self, other: Fingerprint) -> bool:
        """Whether two documents say the same; of data that both have nothing is read."""
        return self._marked == other._marked or self.text == other.text


class Bindings(Mapping[str, str]):
    """Document name -> its fingerprint as text, made when it is asked for.

    Args:
        prints: the fingerprints.
    """

    def __init__(self, prints: Mapping[str, Fingerprint]) -> None:
        self._prints = prints

    def __getitem__(self, name: str) -> str:
        return self._prints[name].text

    def __iter__(self) -> Iterator[str]:
        return iter(self._prints)

    def __len__(self) -> int:
        return len(self._prints)

    def holds(self, name: str, now: Fingerprint) -> bool:
        """Whether a document says what it said."""
        return self._prints[name].same(now)
