"""Reading many plain entries at once gives in every case what reading them one by one gives."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etui import digest
from etui.containers import data_parts, manifest, plain_weights, weights
from etui.containers.documents import DOCUMENTS
from etui.containers.pieces import Stored
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.document_digests import DocumentDigests
from etui.errors import EtuiError
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.storage import open_artifact, plain_header
from etui.storage.safetensors import read_header
from etui.storage.sources import BytesSource
from etui.testing.hostile import parts_of

NEVER = 2**60
TOKEN = re.compile(rb'"[^"]*"|[{}\[\],:]|[^"{}\[\],:]+')
Outcome = tuple[object, ...]


def sample() -> Weights:
    """Plain variables of several dtypes, widths, ranks, roles and orders, and an alias."""
    made = Weights()
    made.add("z/kernel", Tensor.of(np.ones((2, 3), np.float32)), role="kernel")
    made.add("a/é.1", Tensor.of(np.array([True, False])), role="größe", trainable=False)
    made.add("a/b/c", Tensor.of(np.float64(2)), role="kernel")
    made.add("m", Tensor.of(np.zeros((0, 7), np.int8)), role="bias")
    made.aliases["tied"] = "m"
    return made


PARTS = parts_of(Model(weights=sample()))
DOCUMENT = PARTS["weights.json"]
DATA = PARTS["weights.safetensors"]
SHARDED = parts_of(Model(weights=sample()), 8)


def decoded(document: bytes, parts: dict[str, bytes] = PARTS, limits: Limits = DEFAULT_LIMITS) -> Outcome:
    """What comes of the bytes of `weights.json`: all that the weights hold and what they claim, or the refusal."""
    listed = manifest.decode(parts["manifest.json"]).data_parts()
    with open_artifact(parts) as reader:
        held = data_parts.DataParts(reader, listed, verify=True, limits=limits)
        try:
            found, version = DOCUMENTS["weights.json"].decode(document, held, limits)
        except EtuiError as refusal:
            return refusal.code, refusal.where, refusal.found
    variables = [(path, shown(one.tensor), one.role, one.trainable) for path, one in found.variables.items()]
    return version, variables, list(found.aliases.items()), found.extra, held._claims


def shown(tensor: Tensor) -> tuple[object, ...]:
    """All that a plain tensor consists of, but for its data parts."""
    pieces = []
    for piece in tensor.pieces:
        assert isinstance(piece.source, Stored)
        pieces.append((piece.offset, piece.shape, piece.source.chunk, piece.source.dtype, piece.source.shape))
    return tensor.dtype, tensor.shape, tensor.encoding, dict(tensor.components), dict(tensor.extra), pieces


def headed(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Outcome:
    """What comes of the header of a data part: its size and entries, or the refusal."""
    try:
        header = read_header(BytesSource(data), "weights.safetensors", limits)
    except EtuiError as refusal:
        return refusal.code, refusal.where, refusal.found
    return header.size, list(header.entries.items())


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Outcome]], tuple[Outcome, Outcome]]:
    """Calls something once where all is read at once, and once where entries are read one by one."""

    def call(action: Callable[[], Outcome]) -> tuple[Outcome, Outcome]:
        outcomes = []
        for least in (0, NEVER):
            monkeypatch.setattr(plain_weights, "LEAST_BYTES", least)
            monkeypatch.setattr(plain_header, "LEAST_CHARACTERS", least)
            outcomes.append(action())
        return outcomes[0], outcomes[1]

    return call


Both = Callable[[Callable[[], Outcome]], tuple[Outcome, Outcome]]


def edited(data: bytes) -> Iterator[bytes]:
    """The bytes with each single one flipped in a bit, replaced by a mark of the grammar, left out, or doubled."""
    for at, old in enumerate(data):
        values = [old ^ 1 << bit for bit in (0, 2, 5, 7)] + list(b'"\\,0 \xff')
        for new in (*(bytes([value]) for value in values if value != old), b"", data[at : at + 1] * 2):
            yield data[:at] + new + data[at + 1 :]


@st.composite
def rearranged(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes with a run of tokens moved, repeated, removed, or put in place of another."""
    tokens = TOKEN.findall(data)
    places = st.integers(0, len(tokens))
    first, last = sorted((draw(places), draw(places)))
    begin, end = sorted((draw(places), draw(places)))
    kept = tokens if draw(st.booleans()) else tokens[:first] + [b""] * (last - first) + tokens[last:]
    return b"".join([*kept[:begin], *tokens[first:last], *kept[end if draw(st.booleans()) else begin :]])


@pytest.mark.clause("W-1@81776a", "W-2@bf5002", "W-3@4ab185", "W-14@118588", "J-7@920d0a")
def test_a_document_changed_in_any_byte_is_read_alike_at_once_and_one_by_one(both: Both) -> None:
    """Both ways accept the same of all documents that differ from a good one in a byte, and refuse alike."""
    accepted = refused = 0
    for document in edited(DOCUMENT):
        at_once, one_by_one = both(partial(decoded, document))
        assert at_once == one_by_one, document
        accepted += len(at_once) == 5
        refused += len(at_once) == 3
    assert min(accepted, refused) > 100


@pytest.mark.clause("W-1@81776a", "W-2@bf5002", "W-3@4ab185", "W-14@118588", "J-7@920d0a")
@pytest.mark.parametrize("parts", [PARTS, SHARDED], ids=["one part", "shards"])
def test_a_rearranged_document_is_read_alike_at_once_and_one_by_one(
    monkeypatch: pytest.MonkeyPatch, parts: dict[str, bytes]
) -> None:
    """Entries that are moved, repeated or broken up have the same outcome in both ways."""

    @given(rearranged(parts["weights.json"]))
    def check(document: bytes) -> None:
        monkeypatch.setattr(plain_weights, "LEAST_BYTES", 0)
        at_once = decoded(document, parts)
        monkeypatch.setattr(plain_weights, "LEAST_BYTES", NEVER)
        assert at_once == decoded(document, parts)

    check()


@pytest.mark.clause("W-1@81776a", "S-9@aace1b")
@pytest.mark.parametrize("parts", [PARTS, SHARDED], ids=["one part", "shards"])
def test_a_document_of_plain_entries_is_read_at_once(
    monkeypatch: pytest.MonkeyPatch, parts: dict[str, bytes], both: Both
) -> None:
    """The way for many entries does read them, over several data parts too, and gives what the other one gives."""
    at_once, one_by_one = both(lambda: decoded(parts["weights.json"], parts))
    assert at_once == one_by_one
    assert len(at_once) == 5
    monkeypatch.setattr(weights, "decode", None)
    monkeypatch.setattr(plain_weights, "LEAST_BYTES", 0)
    assert decoded(parts["weights.json"], parts) == one_by_one


CASES: dict[str, tuple[bytes | re.Pattern[bytes], bytes]] = {
    "a digest in capitals": (b"sha256:", b"SHA256:"),
    "a digest with a capital digit": (re.compile(rb"sha256:[0-9a-f]"), b"sha256:A"),
    "a short digest": (re.compile(rb"sha256:[0-9a-f]"), b"sha256:"),
    "no role": (b'"role":"bias"', b'"role":""'),
    "a role of a control character": (b'"role":"bias"', b'"role":"\x1f"'),
    "a role with DEL": (b'"role":"bias"', b'"role":"\x7f"'),
    "a role beyond the BMP": (b'"role":"bias"', '"role":"\U0001f600"'.encode()),
    "an order with a zero in front": (b'"order":1', b'"order":01'),
    "an order twice": (b'"order":1', b'"order":2'),
    "an order too high": (b'"order":3', b'"order":4'),
    "a huge order": (b'"order":3', b'"order":99999999999999999999'),
    "a part that is not listed": (b'"part":"weights.safetensors"', b'"part":"weight.safetensors"'),
    "another tensor's name": (b'"tensor":"m"', b'"tensor":"n"'),
    "an encoded dtype": (b'"dtype":"int8"', b'"dtype":"int4"'),
    "an unknown dtype": (b'"dtype":"int8"', b'"dtype":"int3"'),
    "an extent beyond 2^53": (b"[2,3]", b"[9007199254740993,0]"),
    "a huge tensor": (b"[2,3]", b"[9007199254740991,9007199254740991]"),
    "33 dimensions": (b"[2,3]", b"[" + b"1," * 32 + b"1]"),
    "an extent with a zero in front": (b"[2,3]", b"[2,03]"),
    "a comma after a shape": (b"[2,3]", b"[2,3,]"),
    "a comma after the last entry": (b'}},"version"', b'},},"version"'),
    "no comma between entries": (b'},"m":', b'}"m":'),
    "no variables": (re.compile(rb'"variables":\{.*\}\}'), b'"variables":{}'),
    "a newer version": (b'"1.0"', b'"1.7"'),
    "another major version": (b'"1.0"', b'"2.0"'),
    "an unknown field": (b'"version"', b'"unknown":1,"version"'),
    "a kept field": (b'"version":"1.0"', b'"version":"1.0","x-a":1'),
    "a kept field of a variable": (b'"trainable":true}', b'"trainable":true,"x-a":1}'),
    "an alias of an alias": (b'{"tied":"m"}', b'{"tied":"m","tied2":"tied"}'),
    "an alias of nothing": (b'"tied":"m"', b'"tied":"nothing"'),
    "an alias that is no text": (b'"tied":"m"', b'"tied":[]'),
    "an alias that is a variable": (b'"tied":"m"', b'"m":"a/b/c"'),
    "an alias with a bad path": (b'"tied":"m"', b'"tied/":"m"'),
    "an alias equal in form C": (b'"tied":"m"', '"a/e\u0301.1":"m"'.encode()),
    "aliases out of order": (b'"tied":"m"', b'"tied":"m","alias":"m"'),
    "an empty segment": (re.compile(b'"m"'), b'"/m"'),
    "a segment of two dots": (re.compile(b'"z/kernel"'), b'"../kernel"'),
    "a hash in a path": (re.compile(b'"m"'), b'"m#"'),
    "a DEL in a path": (re.compile(b'"m"'), b'"m\x7f"'),
    "a long path": (re.compile(b'"z/kernel"'), b'"z' + b"/kernel" * 600 + b'"'),
    "a long segment": (re.compile(b'"z/kernel"'), b'"z' + b"x" * 255 + b'"'),
    "a long segment of others": (re.compile(b'"z/kernel"'), ('"z' + "é" * 130 + '"').encode()),
    "an unsorted path beyond the BMP": (re.compile(b'"a/b/c"'), '"\U00010000"'.encode()),
    "a sorted path beyond the BMP": (re.compile(b'"z/kernel"'), '"\U00010000"'.encode()),
    "a surrogate": (re.compile(b'"z/kernel"'), b'"\xed\xa0\x80"'),
    "an escape": (re.compile(b'"z/kernel"'), b'"z\\u002fkernel"'),
    "a quote in a path": (re.compile(b'"z/kernel"'), b'"z\\"kernel"'),
    "a byte order mark": (re.compile(rb"^"), b"\xef\xbb\xbf"),
    "a space at the end": (re.compile(rb"$"), b" "),
}  # fmt: skip


@pytest.mark.clause(
    "W-1@81776a",
    "W-2@bf5002",
    "W-3@4ab185",
    "W-14@118588",
    "D-2@f37157",
    "D-3@4c720b",
    "D-4@03cd9a",
    "J-2@ab8b71",
    "J-7@920d0a",
)
@pytest.mark.parametrize("case", CASES)
def test_a_faulty_document_is_refused_alike_at_once_and_one_by_one(case: str, both: Both) -> None:
    """Each rule of the document and of its entries holds in both ways, and a fault has one code and one place."""
    old, new = CASES[case]
    pattern = re.compile(re.escape(old)) if isinstance(old, bytes) else old
    document = pattern.sub(lambda _: new, DOCUMENT)
    assert document != DOCUMENT
    at_once, one_by_one = both(lambda: decoded(document))
    assert at_once == one_by_one


def limited(limits: Limits) -> Outcome:
    """What comes of the sample and of its data part under limits."""
    return decoded(DOCUMENT, PARTS, limits), headed(DATA, limits)


BINDING = {"document_bytes", "depth", "string_bytes", "safetensors_header_bytes", "variables", "rank", "tensor_bytes",
           "path_bytes", "segment_bytes"}  # fmt: skip


@pytest.mark.clause("L-2@76176e", "L-3@a15eb3")
@pytest.mark.parametrize("field", [field.name for field in fields(Limits)])
def test_lowered_limits_bind_reading_at_once(field: str, both: Both) -> None:
    """A limit that a reader lowers refuses the same in both ways."""
    outcomes = set()
    for value in (*range(12), 16, 20, 71, 72, 255, 1000, len(DOCUMENT) - 1, len(DOCUMENT)):
        limits = replace(DEFAULT_LIMITS, **{field: value})
        at_once, one_by_one = both(partial(limited, limits))
        assert at_once == one_by_one, value
        outcomes.add(str(at_once))
    assert (len(outcomes) > 1) == (field in BINDING)


@pytest.mark.clause("S-1@7a8738", "S-3@f9d890", "S-4@f11050", "S-5@ace57a", "S-6@efe9b1")
def test_a_header_changed_in_any_byte_is_read_alike_at_once_and_one_by_one(both: Both) -> None:
    """Both ways accept the same of all data parts that differ from a good one in a byte of the header."""
    size = 8 + int.from_bytes(DATA[:8], "little")
    accepted = refused = 0
    for header in edited(DATA[:size]):
        at_once, one_by_one = both(partial(headed, header + DATA[size:]))
        assert at_once == one_by_one, header
        accepted += len(at_once) == 2
        refused += len(at_once) == 3
    assert min(accepted, refused) > 10


@pytest.mark.clause("S-1@7a8738", "S-3@f9d890", "S-4@f11050", "S-5@ace57a", "S-6@efe9b1")
def test_a_rearranged_header_is_read_alike_at_once_and_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries of a header that are moved, repeated or broken up have the same outcome in both ways."""
    size = 8 + int.from_bytes(DATA[:8], "little")

    @given(rearranged(DATA[8:size].rstrip()))
    def check(text: bytes) -> None:
        text += b" " * (-(8 + len(text)) % 64)
        data = len(text).to_bytes(8, "little") + text + DATA[size:]
        monkeypatch.setattr(plain_header, "LEAST_CHARACTERS", 0)
        at_once = headed(data)
        monkeypatch.setattr(plain_header, "LEAST_CHARACTERS", NEVER)
        assert at_once == headed(data)

    check()


@pytest.mark.clause("S-5@ace57a")
def test_a_header_of_plain_entries_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way for many tensors does read them, and what it gives is a mapping like any other."""
    expected = read_header(BytesSource(DATA), "x").entries
    monkeypatch.setattr(plain_header, "LEAST_CHARACTERS", 0)
    entries = read_header(BytesSource(DATA), "x").entries
    assert isinstance(entries, plain_header.PlainEntries)
    assert not isinstance(expected, plain_header.PlainEntries)
    assert entries == expected
    assert entries.get("nothing") is None


def lazily() -> Weights:
    """The sample as it is read at once."""
    listed = manifest.decode(PARTS["manifest.json"]).data_parts()
    held = data_parts.DataParts(open_artifact(PARTS), listed, verify=True, limits=DEFAULT_LIMITS)
    found = weights.decode_bytes(DOCUMENT, held)
    assert found is not None
    return found


@pytest.mark.library
def test_weights_that_were_read_at_once_are_as_any_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have the model's order, follow aliases, keep what is changed, and read the same elements."""
    monkeypatch.setattr(plain_weights, "LEAST_BYTES", 0)
    expected = sample()
    found = lazily()
    assert list(found) == list(expected)
    assert len(found) == len(expected)
    names: list[object] = ["tied", "m", "n", 7]
    assert [name in found for name in names] == [True, True, False, False]
    assert (found.has_variable("tied"), found.has_variable("m")) == (False, True)
    assert found["tied"] is found["m"]
    with pytest.raises(KeyError):
        found["n"]
    before = found.all_plain
    for path, variable in expected.items():
        assert np.array_equal(found[path].numpy(), variable.numpy())
    found["m"].role = "changed"
    assert list(found.variables) == list(expected)
    assert (before, found.all_plain) == (True, False)
    assert found["m"].role == found.variables["m"].role == "changed"
    del found.variables["m"]
    assert "m" not in found
    assert "tied" in found
    assert not found.has_variable("m")
    with pytest.raises(EtuiError):
        found.add("z/kernel", Tensor.of(np.zeros(1)), role="kernel")


@pytest.mark.library
def test_weights_that_were_read_at_once_are_compared_copied_and_replaced_by_their_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Equality, copies and `replace` see the variables, whether or not these were made before."""
    monkeypatch.setattr(plain_weights, "LEAST_BYTES", 0)
    found = lazily()
    copied = copy.copy(found)
    assert copied == found
    assert copied.variables is found.variables
    other = lazily()
    assert replace(other, extra={"x-a": 1}).variables == other.variables
    assert repr(lazily()).startswith("Weights(variables={'z/kernel': Variable(")
    with pytest.raises(AttributeError, match="nothing"):
        found.nothing  # noqa: B018  the access is the test


def check_digest(content: bytes, expected: str) -> None:
    """Check a document's digest while its decoding fails."""
    with DocumentDigests() as digests:
        digests.add("weights.json", content, expected)
        raise ValueError("content")


@pytest.mark.clause("H-5@fc43fc")
@pytest.mark.parametrize("size", [10, 2**21])
def test_a_document_of_another_digest_is_refused_before_its_content(size: int) -> None:
    """The digest's fault comes first, also where it is found in the background after that of the content."""
    content = bytes(size)
    with pytest.raises(EtuiError) as refusal:
        check_digest(content, digest.of(b"other"))
    assert refusal.value.code == "digest-mismatch"
    with pytest.raises(ValueError, match="content"):
        check_digest(content, digest.of(content))
