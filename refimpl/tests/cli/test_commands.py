"""Each command: its answer for people, its JSON against its schema, and its exit code."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui import bridges, conversion, schemas
from etui.canonical import json as canonical
from etui.testing.samples import CURRENT, everything

pytestmark = pytest.mark.library

Run = Callable[..., Any]


def edit(path: Path, part: str, change: Callable[[bytes], bytes]) -> None:
    (path / part).write_bytes(change((path / part).read_bytes()))


def flip_last(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


# convert


def test_convert_tells_what_became_of_everything(run: Run, sample: str) -> None:
    """A conversion prints its account and the identity, and exits with 0."""
    answer = run("convert", sample, "folder")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[0] == "sample.etui -> folder"
    assert "  variable: 13 restored, 1 aliased" in answer.out
    assert "  nothing was lost" in answer.out
    assert f"identity: {etui.verify('folder').identity}" in answer.out


def test_convert_prints_json(run_json: Run, sample: str) -> None:
    """The JSON of a conversion holds the identity and the report."""
    code, document = run_json("cli/convert", "convert", sample, "other.etui", "--shard-size", "100 B")
    assert code == 0
    assert document["identity"] == etui.verify("other.etui").identity != etui.verify(sample).identity
    assert document["report"]["counts"]["variable"] == {"restored": 13, "aliased": 1}


def test_convert_obeys_its_options(run: Run, sample: str) -> None:
    """Form, format, shards and native documents follow the options."""
    assert run("convert", sample, "a.bin", "--to", "etui", "--form", "directory").code == 0
    assert Path("a.bin/manifest.json").is_file()
    assert run("convert", sample, "b", "--form", "packed", "--no-native", "--shard-size", "200B").code == 0
    with etui.open("b") as model:
        assert model.native == {}
        assert model.manifest is not None
        assert "weights-00002-of-00002.safetensors" in model.manifest.parts


def test_convert_writes_the_report_also_when_it_refuses(run: Run, keras_file: str) -> None:
    """What `.keras` cannot hold is refused with 1 and the report is written; --lenient writes the target too."""
    with conversion.read(keras_file)[0] as model:
        model.metadata["note"] = "lost"
        etui.save(model, "noted.etui")
    refused = run("convert", "noted.etui", "target.keras", "--report", "report.json")
    assert (refused.code, refused.out) == (1, "")
    assert "[not-complete]" in refused.err
    assert refused.err.count("\n") == 1
    assert not Path("target.keras").exists()
    report = json.loads(Path("report.json").read_text())
    assert schemas.validate("report", report, "report.json") == []
    assert [entry["subject"] for entry in report["entries"] if entry["status"] == "not-transferable"] == ["note"]
    lenient = run("convert", "noted.etui", "target.keras", "--lenient")
    assert (lenient.code, lenient.out.splitlines()[-1]) == (0, "  1 items were not carried over")
    assert Path("target.keras").is_file()


def test_a_long_report_is_cut(run: Run, keras_file: str) -> None:
    """A report of more than 50 lines says how many there are and where to find them."""
    with conversion.read(keras_file)[0] as model:
        model.metadata.update({f"note {index}": index for index in range(60)})
        etui.save(model, "many.etui")
    answer = run("convert", "many.etui", "target.keras", "--lenient", "--report", "report.json")
    written = json.loads(Path("report.json").read_text())
    report = etui.Report(written["source"], written["target"])
    for entry in written["entries"]:
        report.add(*(entry[key] for key in ("kind", "subject", "status", "detail")))
    whole, lines = list(report.lines()), answer.out.splitlines()
    assert len(report.lost) == 60
    assert lines == [*whole[:50], f"  … and {len(whole) - 50} more lines; --report FILE or --json has all"]


# inspect


def test_inspect_shows_every_container(run: Run, sample: str) -> None:
    """The text for people names identity, form, profile, modules, variables, optimizers, state, assets and natives."""
    answer = run("inspect", sample)
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert f"identity                  {etui.verify(sample).identity}" in lines
    for expected in (
        "training loss             keras:losses.Huber(delta 1.0)",
        "optimizer/inner           keras:Adam, step 120, learning rate 0.0005",
        "optimizer/inner slots     1 momentum, 1 velocity, 2 variables without yet, 136 B",
        "state counters            batch 5, epoch 3",
        "Variables (13)",
        "  own/quantized  kernel   float32 (quantized)  4 × 2   no",
        "  own/count      count    uint64               scalar  no",
        "      inner   the same as dense",
        "    own       custom:tests>Own (opaque)",
        "  tied/kernel  dense/kernel",
        "  native/keras/old.json     keras         no        2 B",
    ):
        assert expected in lines


def test_inspect_prints_json(run_json: Run, sample: str) -> None:
    """The JSON tells the same facts, and of whichever form."""
    code, document = run_json("cli/inspect", "inspect", sample)
    assert code == 0
    assert document["artifact"]["form"] == "packed"
    weights = everything().weights
    assert weights is not None
    assert document["weights"]["parameters"] == sum(math.prod(variable.shape) for variable in weights.values())
    assert document["weights"]["variables"]["count"] == len(document["weights"]["variables"]["listed"]) == 13
    assert [item["place"] for item in document["optimizers"]] == ["optimizer", "optimizer/inner"]
    assert {item["name"]: item["current"] for item in document["native"]["listed"]}[CURRENT]


@pytest.mark.parametrize("empty", ["config", "weights", "training", "optimizer", "state"])
def test_inspect_shows_what_there_is(run_json: Run, run: Run, empty: str) -> None:
    """Whichever document is absent, the others are shown, and its place in the JSON is null."""
    model = everything()
    setattr(model, empty, None)
    model.native.clear()
    if empty == "config":
        model.training = None
    if empty == "weights":
        model.optimizer = model.state = None
    etui.save(model, "partial.etui")
    _, document = run_json("cli/inspect", "inspect", "partial.etui")
    assert document[{"optimizer": "optimizers"}.get(empty, empty)] is None
    assert run("inspect", "partial.etui").code == 0


def test_inspect_stays_short_for_a_large_model(run: Run, run_json: Run) -> None:
    """Of 500 variables 20 are listed and the rest is counted; with --tensors all are listed."""
    weights = etui.Weights()
    for index in range(500):
        weights.add(f"layer_{index}/kernel", etui.Tensor.of(np.zeros(1)), role="kernel")
    etui.save(etui.Model(weights=weights), "large.etui")
    short = run("inspect", "large.etui").out
    assert len(short.splitlines()) < 50
    assert "  … and 480 more; --tensors lists all" in short
    assert "layer_499/kernel" in run("inspect", "large.etui", "--tensors").out
    assert len(run_json("cli/inspect", "inspect", "large.etui")[1]["weights"]["variables"]["listed"]) == 20
    assert (
        len(run_json("cli/inspect", "inspect", "large.etui", "--tensors")[1]["weights"]["variables"]["listed"]) == 500
    )


# validate and verify


def test_validate_and_verify_approve_of_what_is_good(run: Run, run_json: Run, sample: str) -> None:
    """A good artifact gives 0 and the identity from both commands, in text and in JSON."""
    identity = etui.verify(sample).identity
    assert run("validate", sample).out == f"sample.etui: valid\n  identity: {identity}\n"
    assert "  checked   13 parts, 23 tensors" in run("verify", sample).out
    for command in ("validate", "verify"):
        code, document = run_json(f"cli/{command}", command, sample)
        assert (code, document["ok"], document["identity"]) == (0, True, identity)


def test_validate_lists_faults(run: Run, run_json: Run) -> None:
    """An invalid artifact gives 1, and each fault has a line with its code, its clause and its place."""
    etui.save(everything(), "broken", form="directory")
    manifest = canonical.decode(Path("broken/manifest.json").read_bytes(), where="manifest.json")
    manifest["surplus"] = 1
    Path("broken/manifest.json").write_bytes(canonical.encode(manifest))
    answer = run("validate", "broken")
    assert (answer.code, answer.err) == (1, "")
    first, *faults, _ = answer.out.splitlines()
    assert first == "broken: not valid, 2 faults"
    assert "[manifest-form, SPEC.md M-1]" in faults[0]
    assert "manifest.json at /surplus" in faults[1]
    code, document = run_json("cli/validate", "validate", "broken")
    assert (code, document["ok"], len(document["faults"])) == (1, False, 2)


def test_verify_finds_a_changed_byte(run: Run, run_json: Run) -> None:
    """A changed byte of a tensor gives 1 and one line that names the tensor; validate does not read it."""
    etui.save(everything(), "changed", form="directory")
    edit(Path("changed"), "weights.safetensors", flip_last)
    answer = run("verify", "changed")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("etui: in changed: weights.safetensors, tensor ")
    assert "[digest-mismatch, SPEC.md H-5]" in answer.err
    assert answer.err.count("\n") == 1
    code, document = run_json("error", "verify", "changed")
    assert (code, document["code"]) == (1, "digest-mismatch")
    assert run("validate", "changed").code == 0


@pytest.mark.clause("F-1@9398f0")
def test_what_is_unsafe_has_an_exit_code_of_its_own(run: Run, run_json: Run, unsafe: str) -> None:
    """A part that leads out of the artifact is refused with 3 by every command that opens it."""
    commands = [["verify", unsafe], ["inspect", unsafe], ["convert", unsafe, "b.etui"], ["diff", unsafe, unsafe]]
    for command in commands:
        answer = run(*command)
        assert (answer.code, answer.out) == (3, "")
        assert "part-not-a-file" in answer.err
    assert run("validate", unsafe).code == 3
    assert run_json("error", "inspect", unsafe)[0] == 3
    code, document = run_json("cli/validate", "validate", unsafe)
    assert (code, document["faults"][0]["class"]) == (3, "unsafe")


@pytest.mark.parametrize("command", ["validate", "verify"])
def test_only_an_etui_can_be_verified(run: Run, keras_file: str, command: str) -> None:
    """A file of another known format is wrong usage, and the error says what to do."""
    answer = run(command, keras_file)
    assert (answer.code, answer.out) == (2, "")
    assert "etui convert" in answer.err


# diff


def test_diff_tells_same_from_different(run: Run, run_json: Run, sample: str) -> None:
    """The same content in another form gives 0; other content gives 1, with a line for each change."""
    assert run("convert", sample, "folder").code == 0
    same = run("diff", sample, "folder")
    assert (same.code, same.out.splitlines()[0]) == (0, "sample.etui and folder: the same content")
    model = everything()
    assert model.weights is not None
    model.weights["own/half"].trainable = False
    model.metadata["author"] = "another"
    etui.save(model, "other.etui")
    other = run("diff", sample, "other.etui")
    assert (other.code, other.err) == (1, "")
    assert "  ! weights: own/half trainable: true -> false" in other.out.splitlines()
    assert '  ! metadata: author: "a test" -> "another"' in other.out.splitlines()
    code, document = run_json("cli/diff", "diff", sample, "other.etui")
    assert (code, document["same"], document["counts"]) == (1, False, {"weights": 1, "metadata": 1})
    assert run_json("cli/diff", "diff", sample, "folder")[1]["identical"]


def test_diff_measures_values(run: Run, run_json: Run) -> None:
    """Changed elements are counted and measured; an infinite distance is a text in JSON."""
    for name, array in {"a": [1.0, 2.0], "b": [1.5, 2.0], "c": [np.nan, 2.0]}.items():
        weights = etui.Weights()
        weights.add("kernel", etui.Tensor.of(np.array(array)), role="kernel")
        etui.save(etui.Model(weights=weights), f"{name}.etui")
    line = "  ! weights: kernel values: 1 of 2 elements differ, by at most 0.5 (relative 0.333)"
    assert line in run("diff", "a.etui", "b.etui").out.splitlines()
    values = run_json("cli/diff", "diff", "a.etui", "c.etui")[1]["changes"][0]["values"]
    assert values == {"elements": 2, "differing": 1, "max_absolute": "inf", "max_relative": "inf"}


def test_diff_stays_short(run: Run, run_json: Run) -> None:
    """Of 200 changes 50 are shown and the rest is counted; the JSON has all."""
    for name, value in (("a", 0), ("b", 1)):
        weights = etui.Weights()
        for index in range(200):
            weights.add(f"kernel_{index}", etui.Tensor.of(np.full(1, value)), role="kernel")
        etui.save(etui.Model(weights=weights), f"{name}.etui")
    lines = run("diff", "a.etui", "b.etui").out.splitlines()
    assert len(lines) == 53
    assert lines[-1] == "  … and 150 more; --json has all"
    assert len(run_json("cli/diff", "diff", "a.etui", "b.etui")[1]["changes"]) == 200


def test_diff_marks_what_does_not_count(run: Run, sample: str) -> None:
    """Shards are shown with another mark, and the exit code is 0."""
    run("convert", sample, "shards.etui", "--shard-size", "100B")
    answer = run("diff", sample, "shards.etui")
    assert answer.code == 0
    assert "  - layout: parts weights.safetensors: removed" in answer.out
    assert "do not count" in answer.out.splitlines()[-1]


# formats


def test_formats_shows_what_each_direction_carries(run: Run, run_json: Run) -> None:
    """A table has a line for each format with a cell for each part, and `--json` has the same."""
    answer = run("formats")
    code, document = run_json("cli/formats", "formats")
    assert (answer.code, code) == (0, 0)
    assert [item["name"] for item in document["formats"]][:2] == ["etui", "keras"]
    header, *lines = answer.out.splitlines()
    assert header.split()[1 : len(bridges.PARTS) + 1] == list(bridges.PARTS)
    assert len(lines) >= len(document["formats"]) + 2
    for item, line in zip(document["formats"], lines, strict=False):
        name, *cells = line.split()[: len(bridges.PARTS) + 1]
        read, written = (item[key] or [] for key in ("read_parts", "write_parts"))
        told = [
            "".join(sign for sign, parts in (("r", read), ("w", written)) if part in parts) for part in bridges.PARTS
        ]
        assert name == item["name"]
        assert [cell.strip("-?") for cell in cells] == told


def test_formats_says_more_about_one_format(run: Run, run_json: Run) -> None:
    """The name of a format gives a paragraph with its title, reads, writes, options and needs."""
    _, document = run_json("cli/formats", "formats")
    assert len(document["formats"]) >= 4
    for item in document["formats"]:
        answer = run("formats", item["name"])
        assert answer.code == 0
        texts = (item["name"], item["title"], item["reads"], item["writes"], *item["suffixes"])
        assert [text for text in texts if text not in answer.out] == []
        assert ("--config FILE" in answer.out) == item["takes_config"]
    assert run_json("cli/formats", "formats", "keras")[1]["formats"][0]["extra"] == "hdf5"


def test_formats_refuses_a_name_that_is_none(run: Run) -> None:
    """An unknown format is a wrong call."""
    answer = run("formats", "pickle")
    assert answer.code == 2
    assert "format-unknown" in answer.err


def test_formats_says_what_is_not_installed_and_not_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A format whose extra is missing is marked, and one that does not name its parts has question marks."""
    bare = bridges.Bridge("bare", "Bare", "bare", (), "all", "all", extra="bare", requires=("no_such_module",))
    monkeypatch.setattr(bridges, "_BRIDGES", (*bridges.bridges(), bare))
    lines = run("formats").out.splitlines()
    assert ["bare", *["?"] * len(bridges.PARTS)] in [line.split() for line in lines]
    assert lines[-1] == 'bare: needs pip install "etui[bare]"'
