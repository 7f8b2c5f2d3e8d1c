"""Run a model once: by one of its programs, or by the reference evaluator."""

from __future__ import annotations

import argparse
import json
import math
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from etui._version import SPEC_VERSION
from etui.cli.isolating import isolation_argument
from etui.cli.outcome import GOOD, Outcome
from etui.cli.screen import Screen
from etui.cli.sizes import counted
from etui.errors import error, without_secrets
from etui.programs.facts import dtype_of
from etui.storage.numpy_files import write_array, write_arrays
from etui.storage.transaction import replace_file

if TYPE_CHECKING:
    from etui.programs.running import Result

Array = npt.NDArray[Any]
_MOST_VALUES = 64
_MOST_SHOWN = 8
_SUFFIXES = (".npz", ".npy", ".json")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("location", metavar="X", help="a file, folder or URL of any known format")
    parser.add_argument(
        "--input",
        metavar="[NAME=]FILE",
        action="append",
        default=[],
        help=".npz with all inputs by name; or, again and again, .npy or .json with one, by NAME or in order",
    )
    parser.add_argument("--output", metavar="FILE", help="write the outputs there: .npz, .npy for one alone, or .json")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--program", metavar="NAME", help="run this program; by default the first that can be run here")
    what.add_argument("--evaluator", action="store_true", help="run the reference evaluator")
    parser.add_argument("--signature", metavar="NAME", help="of a program that has several")
    parser.add_argument("--stale", action="store_true", help="run a program of another config or other weights")
    parser.add_argument(
        "--allow-effects", action="store_true", help="run a program that could run other code or reach files"
    )
    parser.add_argument("--timeout", metavar="SECONDS", type=_seconds, help="end a program that takes longer")
    isolation_argument(parser)


def run(options: argparse.Namespace) -> Outcome:
    """Run, and write the outputs."""
    from etui import running  # with all ops of the evaluator, which no other command needs

    suffix = "" if options.output is None else Path(options.output).suffix.lower()
    if options.output is not None and suffix not in _SUFFIXES:
        raise error("run-output", where=options.output, found=f"the suffix {suffix!r}")
    result = running.run(
        options.location,
        options.input or {},
        program=options.program,
        evaluator=options.evaluator,
        signature=options.signature,
        stale=options.stale,
        effects=options.allow_effects,
        isolate=not options.no_isolate,
        timeout=options.timeout,
    )
    if options.output is not None:
        _write(options.output, suffix, result)
    document = _document(without_secrets(options.location), options.output, result)
    return Outcome(GOOD, document, lambda screen: _show(screen, document, result))


def _seconds(text: str) -> float:
    with suppress(ValueError):
        seconds = float(text)
        if 0 < seconds < math.inf:
            return seconds
    raise argparse.ArgumentTypeError(f"{text!r} is no time in seconds")


def _write(path: str, suffix: str, result: Result) -> None:
    if suffix == ".json":
        values = {name: _values(array) for name, array in result.outputs.items()}
        with replace_file(path) as file:
            file.write(json.dumps(values, allow_nan=False).encode() + b"\n")
        return
    arrays = {name: _plain(array, name) for name, array in result.outputs.items()}
    if suffix == ".npz":
        write_arrays(path, arrays)
    elif len(arrays) == 1:
        write_array(path, next(iter(arrays.values())))
    else:
        raise error("run-output", where=path, found=f"{len(arrays)} outputs")


def _plain(array: Array, name: str) -> Array:
    """An array as NumPy's files have it: floats of fewer than 32 bits, where NumPy has no such dtype, as float32."""
    if array.dtype.hasobject:
        if not all(isinstance(item, str) for item in array.flat):
            texts = np.array(
                [item if isinstance(item, bytes) else str(item).encode() for item in array.flat], dtype="S"
            )
            if any(bytes(item).endswith(b"\0") for item in array.flat if isinstance(item, bytes)):
                raise error("run-output", where=name, found="bytes that end with zero", hint="Write a .json file.")
            return texts.reshape(array.shape)
        return np.array(list(array.flat), dtype="U").reshape(array.shape)
    if array.dtype.kind in "biufcSU":
        return array
    return array.astype(np.int8 if array.dtype.name.startswith(("int", "uint")) else np.float32)


def _document(location: str, output: str | None, result: Result) -> dict[str, Any]:
    return {
        "format": "etui-run",
        "version": SPEC_VERSION,
        "location": location,
        "identity": result.identity,
        "ran": {
            "kind": result.kind,
            "program": result.program,
            "signature": result.signature or None,
            "reason": result.reason,
        },
        "passed": [{"program": one.program, "kind": one.kind, "reason": one.reason} for one in result.passed],
        "inputs": [spec.as_json() for spec in result.inputs],
        "casts": result.casts,
        "outputs": [_output(name, array) for name, array in result.outputs.items()],
        "output": output,
    }


def _output(name: str, array: Array) -> dict[str, Any]:
    """An output as data: its values where they are few, and their range where they are numbers."""
    values = _values(array) if array.size <= _MOST_VALUES else None
    found = {"name": name, "dtype": dtype_of(array), "shape": list(array.shape), "values": values}
    return found | _range(array)


def _range(array: Array) -> dict[str, Any]:
    numbers = np.empty(0) if array.dtype.kind in "OSUcV" and not _is_small_float(array) else array.astype(np.float64)
    finite = numbers[np.isfinite(numbers)]
    if not finite.size:
        return {"min": None, "max": None, "mean": None, "nonfinite": int(numbers.size)}
    return {
        "min": float(finite.min()),
        "max": float(finite.max()),
        "mean": _number(float(finite.mean())),
        "nonfinite": int(numbers.size - finite.size),
    }


def _is_small_float(array: Array) -> bool:
    return array.dtype.kind == "V" and not array.dtype.hasobject and array.dtype.names is None


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _values(array: Array) -> Any:
    """Nested lists; what JSON has no number for is tagged as in SPEC.md, chapter 5."""
    if array.dtype.kind == "c":
        pairs = np.stack([array.real, array.imag], axis=-1)
        return _values(pairs)
    if array.dtype.kind not in "biufOSU":
        array = array.astype(np.float32)
    return _tagged(array.tolist())


def _tagged(value: Any) -> Any:
    if isinstance(value, list):
        return [_tagged(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value


def _show(screen: Screen, document: dict[str, Any], result: Result) -> None:
    ran = document["ran"]
    name = f"the program {ran['program']} ({ran['kind']})" if ran["program"] else "the reference evaluator"
    screen.fields([("ran", name), ("because", ran["reason"]), *(("cast", text) for text in document["casts"])])
    for one in document["passed"]:
        screen.line(f"  not {one['program'] or one['kind'] or 'its programs'}: {one['reason']}")
    rows = [_row(one, result.outputs[one["name"]]) for one in document["outputs"]]
    screen.line()
    screen.line(counted(len(rows), "output"))
    screen.table(["output", "dtype", "shape", ">min", ">max", ">mean", "first values"], rows)
    if document["output"]:
        screen.line(f"written to {document['output']}")


def _row(one: dict[str, Any], array: Array) -> list[str]:
    shape = " × ".join(map(str, one["shape"])) or "scalar"
    numbers = ["" if one[key] is None else f"{one[key]:.6g}" for key in ("min", "max", "mean")]
    first = [item.item() if hasattr(item, "item") else item for item in array.reshape(-1)[:_MOST_SHOWN]]
    texts = [f"{item:.6g}" if isinstance(item, float) else str(_tagged(item)) for item in first]
    more = " …" if array.size > len(first) else ""
    return [one["name"], one["dtype"], shape, *numbers, " ".join(texts) + more]
