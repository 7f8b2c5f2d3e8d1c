"""What a fuzz target is, and what counts as a finding.

A target takes bytes. It may return, or refuse the bytes with a coded error; everything else is a finding: another
exception, a broken property, two readers that disagree, too much time, too much memory.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from etui.errors import EtuiError, StorageError, TransferError, UsageError
from etui_conformance.oracle.errors import Refusal

Shape = Literal["bytes", "json", "msgpack", "files", "zip"]
Value = TypeVar("Value")

SECONDS: Final = 5.0
"""Processor time that one input may take."""
MEBIBYTES: Final = 512
"""Memory that one input may add to the peak of the process."""
MESSAGE: Final = 16_384
"""Characters of an error's message."""
_CODE: Final = Path(__file__).resolve().parents[1]


class PropertyError(Exception):
    """The input was taken, and what was made of it breaks a property.

    Attributes:
        key: names the property, the same for all inputs that break it.
    """

    def __init__(self, key: str, found: str = "") -> None:
        super().__init__(f"{key}: {found}" if found else key)
        self.key = key


@dataclass(frozen=True, slots=True)
class Target:
    """A parser to be fuzzed.

    Attributes:
        name: of the target.
        run: the parser and its properties; raises what it raises.
        seeds: inputs to begin with.
        shape: what mutations may take an input for.
        largest: bytes of an input at most.
        own: whether mutated JSON and MessagePack is to be canonical, as Etui's own is.
        native: whether libhdf5 reads in the same process while it is fuzzed, so that a crash of it is its own.
    """

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    shape: Shape = "bytes"
    largest: int = 32_768
    own: bool = False
    native: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """Why an input is a finding.

    Attributes:
        key: the same for inputs that show the same fault, as far as can be told.
        text: what happened, with the traceback.
    """

    key: str
    text: str


@dataclass(slots=True)
class Tally:
    """What became of the inputs of one target.

    Attributes:
        taken, refused: how many inputs were.
        codes: refusals by their code.
        differences: pairs of codes, the library's and the oracle's, of inputs that both refuse, with how many.
        examples: an input of each such pair.
    """

    taken: int = 0
    refused: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    differences: Counter[str] = field(default_factory=Counter)
    examples: dict[str, bytes] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The numbers; an input of a difference as hexadecimal digits."""
        return {
            "taken": self.taken,
            "refused": self.refused,
            "codes": dict(self.codes.most_common()),
            "differences": dict(self.differences.most_common()),
            "examples": {key: data.hex() for key, data in self.examples.items()},
        }


_tally = Tally()
_input = b""


def examine(target: Target, data: bytes, tally: Tally) -> Finding | None:
    """Run a target on an input; say what is wrong, if something is."""
    global _tally, _input
    _tally, _input = tally, data
    before, began = _peak(), time.process_time()
    try:
        target.run(data)
    except EtuiError as refusal:
        tally.refused += 1
        tally.codes[refusal.code] += 1
        found = _fault_of(refusal)
    except Exception as wrong:  # noqa: BLE001  (that is what is looked for)
        return _finding(wrong)
    else:
        tally.taken += 1
        found = None
    seconds, more = time.process_time() - began, _peak() - before
    if seconds > SECONDS:
        return Finding("slow", f"{seconds:.1f} seconds of processor time")
    if more > MEBIBYTES * 1024:
        return Finding("memory", f"{more // 1024} MiB more than before")
    return found


def _peak() -> int:
    """The largest resident memory so far, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _fault_of(refusal: EtuiError) -> Finding | None:
    """What is wrong with a refusal itself: it must be one of the content, and its message short and printable."""
    if isinstance(refusal, UsageError) or not isinstance(refusal, ValueError | StorageError | TransferError):
        return _finding(refusal)
    message = str(refusal)
    if len(message) > MESSAGE:
        return Finding(f"a message of {refusal.code} without bound", message[:MESSAGE])
    if message.count(f"[{refusal.code}, SPEC.md") > 1:
        return Finding(f"a message of {refusal.code} within another", message)
    try:
        message.encode()
    except UnicodeEncodeError:
        return Finding(f"a message of {refusal.code} that cannot be printed", ascii(message))
    return None


def _finding(wrong: Exception) -> Finding:
    text = "".join(traceback.format_exception(wrong, limit=-20))
    if isinstance(wrong, PropertyError):
        return Finding(wrong.key, text)
    frames = [one for one in traceback.extract_tb(wrong.__traceback__) if one.filename.startswith(str(_CODE))]
    place = ""
    if frames:
        # Recursion ends anywhere in its circle; the function at which it began tells one circle from another.
        last = frames[min(12, len(frames) - 1)] if isinstance(wrong, RecursionError) else frames[-1]
        line = "" if isinstance(wrong, RecursionError) else f":{last.lineno}"
        place = f" in {Path(last.filename).relative_to(_CODE)}, {last.name}{line}"
    return Finding(f"{type(wrong).__name__}{place}", text)


def require(holds: bool, key: str, found: str = "") -> None:
    """Raise `PropertyError` unless a property holds."""
    if not holds:
        raise PropertyError(key, found)


def agree(library: Callable[[], Value], oracle: Callable[[], object]) -> Value:
    """What the library makes of an input that the oracle, a second reader, takes as well.

    Codes may differ where an input has several faults (E-3); such pairs are counted, for people to look at.

    Raises:
        EtuiError: both refuse.
        PropertyError: one takes the input and the other refuses it.
    """
    refused: EtuiError | None = None
    try:
        value = library()
    except EtuiError as refusal:
        refused = refusal
    try:
        oracle()
    except Refusal as other:
        if refused is None:
            raise PropertyError(f"taken, and the oracle refuses it with {other.code}", str(other)) from other
        if refused.code != other.code:
            pair = f"{refused.code} / {other.code}"
            _tally.differences[pair] += 1
            _tally.examples.setdefault(pair, _input)
        raise refused from None
    if refused is not None:
        raise PropertyError(f"refused with {refused.code}, and the oracle takes it", str(refused)) from refused
    return value


# Several files in one input: for each, the length of its name, the name, the length of its content, the content.


def joined(files: Mapping[str, bytes]) -> bytes:
    """One input out of several files."""
    return b"".join(
        len(name.encode()).to_bytes(1, "little") + name.encode() + len(data).to_bytes(4, "little") + data
        for name, data in files.items()
    )


def parted(data: bytes, most: int = 64) -> dict[str, bytes]:
    """The files of an input, any bytes whatsoever; what does not fit ends with the input."""
    files: dict[str, bytes] = {}
    at = 0
    while at < len(data) and len(files) < most:
        begin = at + 1
        end = begin + data[at]
        name = data[begin:end].decode("utf-8", "replace")
        length = int.from_bytes(data[end : end + 4], "little")
        files[name] = data[end + 4 : end + 4 + length]
        at = end + 4 + length
    return files


def is_harmless(name: str) -> bool:
    """Whether a file of that name may be written below a folder of the target's own."""
    steps = name.split("/")
    plain = all(char.isascii() and (char.isalnum() or char in "._-/ ") for char in name)
    return plain and len(name) < 200 and all(step not in {"", ".", ".."} for step in steps)


def written(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files below a folder; names that are not harmless, or in each other's way, are left out."""
    for name, content in files.items():
        path = folder / name
        if not is_harmless(name) or path.exists() or any(parent.is_file() for parent in path.parents):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def lenient_json(data: bytes) -> Any:
    """The tree of a JSON text, as the standard library reads it; `None` if it does not."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def show(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def chosen(inputs: Iterable[bytes], most: int, largest: int) -> list[bytes]:
    """Different inputs of every size up to the largest, the small ones first."""
    found = sorted({one for one in inputs if len(one) <= largest}, key=lambda one: (len(one), one))
    step = max(1.0, len(found) / most)
    return [found[int(step * number)] for number in range(min(most, len(found)))]
