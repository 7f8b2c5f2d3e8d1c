"""Output for people: plain text, rich on a terminal, and nothing that a file's names could do to a terminal."""

from __future__ import annotations

import argparse
import io
import sys

import numpy as np
import pytest

import etui
from etui.cli import main
from etui.cli.screen import PlainScreen, RichScreen, Screen, printable, progress_bar, screen
from etui.cli.sizes import counted, parse_size, size_text

pytestmark = pytest.mark.library

HOSTILE = "a\x1b[31mred\x07\u202e\ud800[bold]x[/bold]\n:smile:"
ESCAPED = r"a\x1b[31mred\x07\u202e\ud800[bold]x[/bold]\n:smile:"


class Terminal(io.StringIO):
    """A stream that says that it is a terminal, 200 columns wide."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def show_all(target: Screen) -> None:
    target.line(HOSTILE)
    target.table(["name", ">size"], [[HOSTILE, "1"], ["Zürich 東京", "20"]])
    target.table(["step", f">{HOSTILE}"], [["1", "0.5"]])
    target.fields([("name", HOSTILE), (HOSTILE, "2")])


def test_rich_is_for_terminals(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets rich's output; a file, a dumb terminal, and one without rich get plain text."""
    assert isinstance(screen(terminal), RichScreen)
    assert isinstance(screen(io.StringIO()), PlainScreen)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(screen(terminal), PlainScreen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setitem(sys.modules, "rich", None)
    assert isinstance(screen(terminal), PlainScreen)


def test_plain_tables_are_aligned() -> None:
    """Columns are as wide as their longest cell, wide characters count twice, and numbers stand to the right."""
    stream = io.StringIO()
    PlainScreen(stream).table(["name", ">size"], [["kernel", "1 kB"], ["東京", "20 B"], ["x", "300 MB"]])
    assert stream.getvalue().splitlines() == [
        "  name      size",
        "  kernel    1 kB",
        "  東京      20 B",
        "  x       300 MB",
    ]


def test_plain_fields_are_aligned() -> None:
    """Values stand in one column."""
    stream = io.StringIO()
    PlainScreen(stream).fields([("a", "1"), ("longer", "2")])
    assert stream.getvalue() == "a       1\nlonger  2\n"


@pytest.mark.parametrize("kind", [PlainScreen, RichScreen])
def test_names_from_files_cannot_act_on_the_terminal(kind: type[PlainScreen | RichScreen], terminal: Terminal) -> None:
    """Control characters, text direction and lone surrogates are escaped, and markup is shown as it is."""
    show_all(kind(terminal))
    shown = terminal.getvalue()
    assert shown.count(ESCAPED) == 5
    for char in "\x07\u202e\ud800":
        assert char not in shown
    assert "\x1b[31m" not in shown


def test_ordinary_text_is_printed_as_it_is() -> None:
    """Letters of every script, signs and spaces are left alone."""
    for text in ("dense/kernel", "Zürich 東京 → ½", ""):
        assert printable(text) == text


def test_rich_tables_hold_every_cell(terminal: Terminal) -> None:
    """Rich shows the same cells as plain text."""
    show_all(RichScreen(terminal))
    assert "Zürich 東京" in terminal.getvalue()
    assert "20" in terminal.getvalue()


def test_long_lines_are_not_cut(monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    """In a narrow terminal a long cell is folded, and no character of it is lost."""
    monkeypatch.setenv("COLUMNS", "30")
    path = "/".join(f"block_{index}" for index in range(20))
    RichScreen(terminal).table(["variable", "dtype"], [[path, "float32"]])
    folded = "".join(line.removesuffix("float32").strip() for line in terminal.getvalue().splitlines()[1:])
    assert path in folded.replace("float32", "").replace(" ", "")


def test_a_progress_bar_shows_on_a_terminal_only(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets a bar that names the part, is gone at the end, and escapes the name; a file gets nothing."""
    file = io.StringIO()
    with progress_bar("verifying", file) as update:
        assert update is None
    assert file.getvalue() == ""
    with progress_bar("verifying", terminal) as update:
        assert update is not None
        update("dense/\x07kernel", 50, 100)
        update("dense/\x07kernel", 100, 100)
    assert "verifying" in terminal.getvalue()
    assert r"dense/\x07kernel" in terminal.getvalue()
    monkeypatch.setitem(sys.modules, "rich", None)
    with progress_bar("verifying", Terminal()) as update:
        assert update is None


def test_commands_show_the_same_facts_with_rich(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, sample: str, tmp_path: object
) -> None:
    """On a terminal each command works with rich, bars included, and JSON is never decorated."""
    monkeypatch.chdir(str(tmp_path))
    errors = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", errors)
    for command in (["inspect"], ["validate"], ["verify"], ["convert", "folder"], ["diff", "folder"], ["formats"]):
        name, *rest = command
        assert main([name, *([] if name == "formats" else [sample, *rest])]) == 0
    for expected in (
        "dense/kernel",
        "sample.etui: valid",
        "13 parts, 23 tensors",
        "nothing was lost",
        "the same content",
    ):
        assert expected in terminal.getvalue()
    assert "\x1b[1m" in terminal.getvalue()
    for title in ("verifying", "converting", "comparing"):
        assert title in errors.getvalue()
    before = len(terminal.getvalue())
    assert main(["inspect", sample, "--json"]) == 0
    assert "\x1b" not in terminal.getvalue()[before:]


def test_hostile_names_are_escaped_by_the_commands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """A path with a bidirectional override is escaped in text, and in JSON it is escaped by JSON."""
    monkeypatch.chdir(str(tmp_path))
    weights = etui.Weights()
    weights.add("a\u202eb\x9b31m", etui.Tensor.of(np.zeros(1)), role="kernel")
    etui.save(etui.Model(weights=weights, metadata={"note": "\x1b]0;title\x07"}), "hostile.etui")
    assert main(["inspect", "hostile.etui"]) == 0
    text = capsys.readouterr().out
    assert r"a\u202eb\x9b31m" in text
    assert r"\x1b]0;title\x07" in text
    assert main(["inspect", "hostile.etui", "--json"]) == 0
    assert main(["verify", "\x1b[31m"]) == 1
    output = capsys.readouterr()
    assert (output.out + output.err).replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("2GB", 2 * 10**9), ("512MiB", 512 * 2**20), ("1.5 kB", 1500), ("3tib", 3 * 2**40), (" 7 b ", 7)],
)
def test_sizes_are_read_with_their_units(text: str, size: int) -> None:
    """Decimal and binary units are powers of 1000 and of 1024."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "1x", "GB", "1e9", "0.1B", "9" * 400, "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """A size is a number of at least one byte."""
    with pytest.raises(argparse.ArgumentTypeError, match="is no size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1234, "1.23 kB"), (999_499, "999 kB"), (999_500, "1 MB"),
     (5 * 10**12, "5 TB"), (10**17, "100 PB")],
)  # fmt: skip
def test_sizes_are_written_with_three_digits(size: int, text: str) -> None:
    """A size is rounded to three digits in the unit that keeps it below 1000."""
    assert size_text(size) == text


def test_things_are_counted() -> None:
    """One thing is singular, others are plural."""
    assert [counted(number, "part") for number in (0, 1, 1024)] == ["0 parts", "1 part", "1,024 parts"]
