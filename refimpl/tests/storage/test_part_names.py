"""Names of parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etui.errors import EtuiError
from etui.limits import Limits
from etui.storage.part_names import (
    check_part_name,
    check_part_names,
    escape,
    order_key,
    role_of,
    unescape,
)
from etui.testing.storage import part_names

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=8).filter(
    lambda text: text not in {".", ".."}
)
PATHS = st.lists(TEXTS, min_size=1, max_size=4).map("/".join)


def code_of(*names: str, limits: Limits | None = None) -> str:
    """The code with which the names are refused together."""
    with pytest.raises(EtuiError) as caught:
        check_part_names(names, limits or Limits())
    assert caught.value.where
    return caught.value.code


@pytest.mark.clause("P-1@71c231")
@pytest.mark.parametrize(
    "name", ["", "/", "/a", "a/", "a//b", "a b", "a\\b", "a:b", "C:", "a\0", "a\n", "ä", "a~", "a*", "a?b", "a#b", "@"]
)
def test_names_of_other_characters_are_refused(name: str) -> None:
    """Empty segments and characters outside of the alphabet are refused, alone and below a folder."""
    assert code_of(name) == "part-name"
    assert code_of(f"assets/{name}") == "part-name"


@pytest.mark.clause("P-2@0bdadc")
@pytest.mark.parametrize(
    "segment",
    [
        ".",
        "..",
        "...",
        ".a",
        "a.",
        "a..",
        "CON",
        "con",
        "Prn.txt",
        "aux.tar.gz",
        "NUL",
        "COM0",
        "com9.x",
        "LPT1",
        "lpt0",
    ],
)
def test_segments_that_mean_something_else_are_refused(segment: str) -> None:
    """Dots at either end and device names, with or without extension and in any case, are refused in any place."""
    for name in (segment, f"assets/{segment}", f"{segment}/a", f"assets/{segment}/a"):
        assert code_of(name) == "part-name"


@pytest.mark.clause("P-1@71c231", "P-2@0bdadc")
@pytest.mark.parametrize(
    "name", ["a", "A-b_c.d+e%20=f", "assets/a..b", "console", "com10", "lpt", "nulls.txt", "conf/x", "a" * 255, "0"]
)
def test_names_of_the_alphabet_are_taken(name: str) -> None:
    """The whole alphabet is legal, and names that only begin as a device's name does."""
    check_part_name(name)
    check_part_names([name])


@pytest.mark.clause("P-3@83835b")
@pytest.mark.parametrize(
    "names",
    [
        ("assets/a", "assets/A"),
        ("assets/a", "assets/a/b"),
        ("assets/a/b", "assets/a"),
        ("assets/A/b/c", "assets/a/B"),
        ("assets/a/b", "assets/c", "Assets/A"),
        ("Manifest.json",),
        ("manifest.json",),
        ("manifest.json/a",),
        ("x", "config.json", "CONFIG.json"),
    ],
)
def test_names_that_may_be_one_file_are_refused(names: tuple[str, ...]) -> None:
    """Names that differ by case only, and a part below another part, are refused in any order."""
    assert code_of(*names) == "part-collision"
    assert code_of(*reversed(names)) == "part-collision"


@pytest.mark.clause("P-3@83835b")
def test_names_that_share_a_beginning_are_taken() -> None:
    """Only whole segments count: a longer name beside a shorter one, and files of one folder, do not collide."""
    check_part_names(["assets/a", "assets/ab", "assets/a.b", "assets/b/a", "assets/b/b", "programs/assets/a"])


@pytest.mark.clause("P-5@de13e9")
@pytest.mark.parametrize(
    "names",
    [
        ("weights-00001-of-00002.safetensors",),
        ("weights-00002-of-00002.safetensors",),
        ("weights-00000-of-00001.safetensors",),
        ("weights-00001-of-00002.safetensors", "weights-00003-of-00002.safetensors"),
        ("weights-00001-of-00002.safetensors", "weights-00002-of-00003.safetensors"),
        ("weights-00001-of-00002.safetensors", "weights-00002-of-00002.safetensors", "weights.safetensors"),
        ("weights-000001-of-000001.safetensors",),
        ("state-00001-of-00001.safetensors", "state.safetensors"),
        ("optimizer-00001-of-00000.safetensors",),
    ],
)
def test_incomplete_or_misnumbered_shards_are_refused(names: tuple[str, ...]) -> None:
    """Shards that are not 1 to n of n in the least digits, at least five, are refused."""
    assert code_of(*names) == "part-role"


@pytest.mark.clause("P-5@de13e9")
def test_complete_shards_are_taken() -> None:
    """Shards of several bases, each complete, are legal; beyond 99999 they have six digits."""
    check_part_names([f"weights-{n:05d}-of-00003.safetensors" for n in (3, 1, 2)] + ["optimizer.safetensors"])
    check_part_names(["weights-00001-of-00001.safetensors"])
    many = [f"state-{n:05d}-of-100000.safetensors" for n in range(1, 100_001)]
    check_part_names(many)
    assert code_of(*many[1:]) == "part-role"


@pytest.mark.clause("P-4@ffa67a")
def test_roles_follow_from_names() -> None:
    """Documents, data parts and folders have the roles of chapter 7, and other names have none."""
    roles = {
        "manifest.json": "manifest",
        "config.json": "config",
        "weights.json": "weights",
        "training.json": "training",
        "optimizer.msgpack": "optimizer",
        "state.msgpack": "state",
        "weights.safetensors": "data",
        "optimizer-00001-of-00002.safetensors": "data",
        "state.safetensors": "data",
        "assets/a": "asset",
        "assets/weights.json": "asset",
        "programs/p/main": "program",
        "native/keras/config.json": "native",
    }
    assert {name: role_of(name) for name in roles} == roles
    for name in (
        "native/config.json",
        "assets",
        "Config.json",
        "training.safetensors",
        "weights-1-of-2.safetensors",
        "x",
    ):
        assert role_of(name) is None


@pytest.mark.clause("Z-2@a6382e")
def test_members_are_ordered_by_role_and_then_by_name() -> None:
    """Data first, then programs, native documents and assets mixed by name, then documents, then the manifest."""
    order = [
        "optimizer.safetensors",
        "state.safetensors",
        "weights-00001-of-00002.safetensors",
        "weights-00002-of-00002.safetensors",
        "assets/B",
        "assets/a",
        "native/keras/config.json",
        "programs/p/main",
        "config.json",
        "optimizer.msgpack",
        "state.msgpack",
        "training.json",
        "weights.json",
        "manifest.json",
    ]
    assert sorted(order[::2] + order[1::2], key=order_key) == order


@pytest.mark.clause("L-1@edac1f", "L-2@76176e", "L-3@a15eb3")
def test_limits_hold() -> None:
    """A name of 256 bytes, and one part more than the limit, are refused."""
    assert code_of("a" * 256) == "limit-path"
    assert code_of("a" * 11, limits=Limits(part_name_bytes=10)) == "limit-path"
    assert code_of("a", "b", limits=Limits(parts=1)) == "limit-parts"
    check_part_names([str(number) for number in range(100_000)])
    assert code_of(*(str(number) for number in range(100_001))) == "limit-parts"


@pytest.mark.clause("P-6@339932", "P-1@71c231", "P-2@0bdadc")
@given(PATHS)
def test_any_file_name_has_one_legal_part_name(path: str) -> None:
    """An escaped name is legal, and unescaping gives the name back."""
    name = escape(path)
    check_part_name(name, Limits(part_name_bytes=10_000))
    assert unescape(name) == path


@pytest.mark.clause("P-6@339932")
def test_escaped_names_are_as_the_spec_writes_them() -> None:
    """Each byte of UTF-8 becomes %XX, and legal names but for % stay as they are."""
    assert escape("Wörter für morgen.txt") == "W%C3%B6rter%20f%C3%BCr%20morgen.txt"
    assert escape("a/b-c_d.e+f=g") == "a/b-c_d.e+f=g"
    assert escape("100%") == "100%25"
    assert escape(".hidden/a./con/NUL.txt") == "%2Ehidden/a%2E/%63on/%4EUL.txt"


@pytest.mark.clause("P-1@71c231", "P-2@0bdadc")
@pytest.mark.parametrize("path", ["", "/", "a//b", ".", "..", "../a", "a/./b", "/a", "a/"])
def test_paths_without_a_legal_name_are_refused(path: str) -> None:
    """Empty segments, `.` and `..` have no escaped form."""
    with pytest.raises(EtuiError) as caught:
        escape(path)
    assert caught.value.code == "part-name"


@pytest.mark.library
@given(part_names())
def test_the_published_strategy_gives_legal_names(name: str) -> None:
    """Names drawn from `etui.testing` are legal below the folder that was asked for."""
    check_part_name(name, Limits(part_name_bytes=10_000))
    assert role_of(name) == "asset"
