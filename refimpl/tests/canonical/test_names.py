"""Paths, their escape and their collisions; names of classes and frameworks."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etui import paths
from etui.errors import EtuiError, InvalidError, LimitError, UnsupportedError
from etui.limits import DEFAULT_LIMITS
from etui.names import check_namespaced, is_residue
from etui.testing import values as strategies


@pytest.mark.clause("D-2@f37157", "D-3@4c720b")
@given(strategies.paths())
def test_paths_pass(path: str) -> None:
    """Segments joined by single slashes are a path, whatever else than the forbidden characters they hold."""
    assert paths.check_path(path, "x") == path


@pytest.mark.clause("D-2@f37157")
@pytest.mark.parametrize("path", ["", "/", "a/", "/a", "a//b", "//", None, 5, ["a"]])
def test_odd_slashes_are_no_path(path: object) -> None:
    """An empty segment, and what is no text, is refused."""
    with pytest.raises(InvalidError) as refusal:
        paths.check_path(path, "weights.json")
    assert (refusal.value.code, refusal.value.where) == ("path-form", "weights.json")


@pytest.mark.clause("D-3@4c720b")
@pytest.mark.parametrize("character", [*map(chr, range(32)), "\x7f", "\\", "#", "@", "\ud800"])
def test_forbidden_characters_are_refused(character: str) -> None:
    """A control character, a backslash, ``#``, ``@`` and a lone surrogate are refused at every place in a path."""
    for path in (character, f"{character}a", f"a{character}", f"a/{character}/b", f"{'a' * 100}{character}"):
        with pytest.raises(InvalidError, match="path-form"):
            paths.check_path(path, "x")


@pytest.mark.clause("D-3@4c720b")
@pytest.mark.parametrize("path", [".", "..", "./a", "a/..", "a/./b", "../a"])
def test_dot_segments_are_refused(path: str) -> None:
    """A segment of one or two dots is refused."""
    with pytest.raises(InvalidError, match="path-form"):
        paths.check_path(path, "x")


@pytest.mark.clause("D-3@4c720b")
@pytest.mark.parametrize("path", ["...", ".a", "a.", "..a", "a/...", "a b", "%", "%2F", "$float", "é/😀", "C:", "con"])
def test_other_odd_names_are_paths(path: str) -> None:
    """A path is not a file name: dots beside other characters, spaces, ``%`` and device names are legal."""
    assert paths.check_path(path, "x") == path


@pytest.mark.clause("D-3@4c720b")
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_escaping_makes_a_segment_and_is_undone(text: str) -> None:
    """Every text but the empty one becomes one segment by the escape, and comes back."""
    segment = paths.escape_segment(text)
    assert paths.check_path(segment, "x", replace(DEFAULT_LIMITS, path_bytes=10**6, segment_bytes=10**6)) == segment
    assert "/" not in segment
    assert paths.unescape_segment(segment) == text


@pytest.mark.clause("D-3@4c720b")
def test_the_escape_is_percent_and_upper_hex_per_utf8_byte() -> None:
    """Only the forbidden characters and ``%`` are escaped; others stay, also beyond ASCII."""
    assert paths.escape_segment("a/b\\c#d@e%f\x00\x7fé") == "a%2Fb%5Cc%23d%40e%25f%00%7Fé"
    assert [paths.escape_segment(dots) for dots in (".", "..", "...")] == ["%2E", "%2E%2E", "..."]
    assert paths.escape_segment("") == "%"
    assert paths.unescape_segment("%") == ""


@pytest.mark.library
def test_unescaping_leaves_other_percent_signs() -> None:
    """A ``%`` that begins no escape of UTF-8 is kept, because readers accept it in a path."""
    assert paths.unescape_segment("50%") == "50%"
    assert paths.unescape_segment("%zz-%C3%A9-%FF-%c3%A9") == "%zz-é-%FF-é"


@pytest.mark.library
def test_a_surrogate_cannot_be_escaped() -> None:
    """A lone surrogate has no UTF-8 and so no escape."""
    with pytest.raises(InvalidError, match="path-form"):
        paths.escape_segment("a\udc80")


@pytest.mark.clause("L-2@76176e", "L-1@edac1f")
def test_long_paths_and_segments_are_refused() -> None:
    """A path of 4,096 bytes and a segment of 255 pass, and one byte more is refused, counted in UTF-8."""
    longest = "/".join(["a" * 255] * 15 + ["a" * 200, "b" * 55])
    assert len(longest) == 4096
    for path in (longest, longest[:-2] + "é", "é" * 127, "a" * 255):
        assert paths.check_path(path, "x") == path
    for path in (longest + "b", longest[:-1] + "é", "a" * 256, "é" * 128, f"b/{'a' * 256}/c", "a" * 10**6):
        with pytest.raises(LimitError) as refusal:
            paths.check_path(path, "x")
        assert refusal.value.code == "limit-path"
        assert len(str(refusal.value)) < 400


@pytest.mark.clause("L-3@a15eb3")
def test_a_reader_may_set_lower_limits_for_paths() -> None:
    """Lower limits of the caller are enforced, for paths that the default limits let pass unseen."""
    with pytest.raises(LimitError):
        paths.check_path("abc", "x", replace(DEFAULT_LIMITS, segment_bytes=2))
    with pytest.raises(LimitError):
        paths.check_path("a/b", "x", replace(DEFAULT_LIMITS, path_bytes=2))


@pytest.mark.clause("D-4@03cd9a")
@pytest.mark.parametrize("pair", [("é", "e\u0301"), ("a/Å", "a/\u212b"), ("\uac00", "\u1100\u1161"), ("a", "a")])
def test_paths_equal_after_nfc_collide(pair: tuple[str, str]) -> None:
    """Two paths that are one after normalization are refused, and both are shown unambiguously."""
    with pytest.raises(InvalidError, match="path-collision") as refusal:
        paths.check_no_collisions(["other", *pair], "weights.json")
    assert ascii(pair[0]) in refusal.value.found
    assert ascii(pair[1]) in refusal.value.found


@pytest.mark.clause("D-4@03cd9a")
@given(st.lists(strategies.paths(), unique_by=lambda path: unicodedata.normalize("NFC", path)))
def test_other_paths_do_not_collide(distinct: list[str]) -> None:
    """Paths that stay different after normalization form C are accepted, those that differ by case included."""
    paths.check_no_collisions([*distinct, "\x00A", "\x00a"], "x")


@pytest.mark.clause("C-8@c54784", "C-9@2bc586")
@pytest.mark.parametrize(
    ("name", "code"),
    [
        *((name, "op-form") for name in ["Dense", ":Dense", "keras:", "Keras:Dense", "1a:b", "a:a b", "a:\x7f", None]),
        ("core:nothing", "op-unknown"),
        ("core:dense", "op-unknown"),
    ],
)
def test_names_without_a_namespace_are_refused(name: object, code: str) -> None:
    """A class needs a lowercase namespace and a name, which in `core` is the kind and name of one of the vocabulary."""
    with pytest.raises(EtuiError) as refusal:
        check_namespaced(name, "x")
    assert refusal.value.code == code
    assert isinstance(refusal.value, UnsupportedError if code == "op-unknown" else InvalidError)


@pytest.mark.clause("C-8@c54784")
@given(strategies.class_names())
def test_namespaced_names_pass(name: str) -> None:
    """What follows the first colon is free of spaces and otherwise free."""
    assert check_namespaced(name, "x") == name


@pytest.mark.clause("C-16@f3c92d")
def test_a_residue_maps_frameworks_to_maps() -> None:
    """A residue names at least one framework in lowercase, and each has a map."""
    assert is_residue({"keras": {}, "tf_1": {"a": 1}})
    others: list[object] = [{}, [], None, {"Keras": {}}, {"keras": 1}, {"keras": []}, {"": {}}, {1: {}}]
    for other in others:
        assert not is_residue(other)
