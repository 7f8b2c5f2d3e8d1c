"""Prints Annex A of SPEC.md: a tiny model and its training state as one packed file, every byte of it.

python refimpl/examples/worked_example.py           prints the annex
python refimpl/examples/worked_example.py --write   puts it into SPEC.md, between the two markers
"""

from __future__ import annotations

import argparse
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from itertools import chain
from pathlib import Path

import numpy as np

import etui
from etui import digest, schemas

BEGIN = "<!-- worked-example:begin -->\n"
END = "<!-- worked-example:end -->\n"
BYTES_PER_LINE = 32

INTRODUCTION = """\
The model is one dense layer with two inputs, y = x·kernel + bias, trained for one step of SGD with momentum on the
squared error: input (1, 2), target 0, kernel (1, 0) and bias 0 at the start, rate 0.125, momentum 0.5.
The step gives the momenta (-0.25, -0.5) and -0.25, the kernel (0.75, -0.5) and the bias -0.25.
Below is its packed form: a file of {size} bytes with the identity
`{identity}`.
On the left is the offset in hexadecimal; on the right are the same bytes in ASCII, with a point for any other byte.

Each member begins with a local header. The first one is that of `{first}`:
"""
MEMBER = "`{name}`: {about} Its data begins at 0x{body:x}.\n"
ABOUT = {
    "optimizer.safetensors": "the length of the JSON header, the header with its spaces, and the two momenta.",
    "weights.safetensors": "in the same way, the header and the two variables.",
    "config.json": "the architecture, an input, a dense layer, and the graph that calls them.",
    "optimizer.msgpack": "algorithm, hyperparameters, steps and groups, and the index of the momenta.",
    "training.json": "the loss.",
    "weights.json": "the index of the variables.",
    "manifest.json": "the root of the digest tree, whose digest is the identity.",
}

Field = tuple[int, str, Callable[[bytes], object] | None]


def number(raw: bytes) -> int:
    """An unsigned little-endian integer."""
    return int.from_bytes(raw, "little")


def hexadecimal(raw: bytes) -> str:
    """An unsigned little-endian integer, in hexadecimal."""
    return f"0x{number(raw):x}"


def local_fields(name: int, extra: int) -> list[Field]:
    """The fields of a local header: width in bytes, meaning, and how the value is shown."""
    return [
        (4, "signature of a local header", None),
        (2, "version needed", number),
        (2, "flags", number),
        (2, "method, stored", number),
        (2, "time", number),
        (2, "date, 1980-01-01", hexadecimal),
        (4, "CRC-32", hexadecimal),
        (4, "compressed size", number),
        (4, "size", number),
        (2, "length of the name", number),
        (2, "length of the extra field", number),
        (name, "name", bytes.decode),
        (2, "id of the extra field", hexadecimal),
        (2, "length of its data", number),
        (2, "alignment", number),
        (extra - 6, "zeros up to a multiple of 64", None),
    ]


def central_fields(name: int) -> list[Field]:
    """The fields of a central header without an extra field, in the same form."""
    return [
        (4, "signature of a central header", None),
        (2, "version made by", number),
        (2, "version needed", number),
        (8, "flags, method, time and date of the local header", None),
        (12, "CRC-32 and sizes of the local header", None),
        (2, "length of the name", number),
        (12, "no extra field, no comment, disk 0, both attribute fields 0", None),
        (4, "offset of the local header", hexadecimal),
        (name, "name", bytes.decode),
    ]


END_FIELDS: list[Field] = [
    (4, "signature of the end record", None),
    (2, "this disk", number),
    (2, "disk of the central directory", number),
    (2, "members on this disk", number),
    (2, "members", number),
    (4, "size of the central directory", number),
    (4, "offset of the central directory", hexadecimal),
    (2, "length of the comment", number),
]


END_SIZE = sum(width for width, _, _ in END_FIELDS)


def tiny_model() -> etui.Model:
    """The model of the annex, after the one step of training that the annex describes."""
    rate, momentum = np.float32(0.125), np.float32(0.5)
    kernel, bias = np.array([[1], [0]], np.float32), np.zeros(1, np.float32)
    inputs, target = np.array([[1, 2]], np.float32), np.zeros((1, 1), np.float32)
    error = 2 * (inputs @ kernel + bias - target)
    moments = {"dense/kernel": -rate * (inputs.T @ error), "dense/bias": -rate * error[0]}

    weights = etui.Weights()
    weights.add("dense/kernel", etui.Tensor.of(kernel + moments["dense/kernel"]), role="kernel")
    weights.add("dense/bias", etui.Tensor.of(bias + moments["dense/bias"]), role="bias")
    first = etui.Module("input", op="keras:InputLayer", attrs={"batch_shape": (None, 2)})
    dense = etui.Module(
        "dense", op="keras:Dense", attrs={"units": 1}, params={path.split("/")[1]: path for path in weights}
    )
    graph = etui.Graph(
        inputs=etui.OutputRef("input", 0),
        outputs=etui.OutputRef("dense", 0),
        calls=[etui.Call("input", "input"), etui.Call("dense", "dense", args=[etui.OutputRef("input", 0)])],
    )
    sgd = etui.Optimizer(
        "keras:SGD",
        hyperparameters={"learning_rate": float(rate), "momentum": float(momentum)},
        learning_rate=float(rate),
        step=1,
        micro_step=1,
        groups=[etui.Group(list(weights))],
        slots={path: {"momentum": etui.Tensor.of(moments[path])} for path in weights},
    )
    return etui.Model(
        config=etui.Config(etui.Module("tiny", "graph", "keras:Functional", modules=[first, dense], graph=graph)),
        weights=weights,
        training=etui.Training(loss="mean_squared_error"),
        optimizer=etui.OptimizerState({"optimizer": sgd}),
    )


def packed(model: etui.Model) -> bytes:
    """The bytes of a model's packed form."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.etui"
        etui.save(model, path)
        return path.read_bytes()


def annex(data: bytes) -> str:
    """The text of the annex for a packed artifact: each of its bytes is shown once."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        members = archive.infolist()
        central = archive.start_dir
        identity = digest.of(archive.read("manifest.json"))
    first = members[0].filename
    text = [INTRODUCTION.format(size=len(data), identity=identity, first=first)]
    for index, member in enumerate(members):
        begin = member.header_offset
        name, extra = struct.unpack_from("<HH", data, begin + 26)
        body = begin + 30 + name + extra
        end = body + member.file_size
        about = MEMBER.format(name=member.filename, about=ABOUT[member.filename], body=body)
        if index == 0:
            text += [block(fields(data, begin, local_fields(name, extra))), about, block(dump(data, body, end))]
        else:
            text += [about, block(chain(dump(data, begin, body), dump(data, body, end)))]
    others = central + 46 + len(first)
    text += [
        f"The first central header, that of `{first}`:\n",
        block(fields(data, central, central_fields(len(first)))),
        "The other central headers:\n",
        block(dump(data, others, len(data) - END_SIZE)),
        "The end record:\n",
        block(fields(data, len(data) - END_SIZE, END_FIELDS)),
    ]
    return "\n".join(text)


def block(lines: Iterable[str]) -> str:
    """Lines as a block of code."""
    return "```text\n" + "\n".join(lines) + "\n```\n"


def dump(data: bytes, begin: int, end: int) -> Iterator[str]:
    """Lines of an offset, hexadecimal digits in groups of four bytes, and ASCII."""
    for offset in range(begin, end, BYTES_PER_LINE):
        raw = data[offset : min(offset + BYTES_PER_LINE, end)]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in raw)
        yield f"{offset:04x}  {raw.hex(' ', -4):<71}  |{text}|"


def fields(data: bytes, begin: int, table: list[Field]) -> Iterator[str]:
    """Lines of an offset, the hexadecimal digits of a field, its meaning and its value."""
    for width, meaning, show in table:
        raw = data[begin : begin + width]
        for start in range(0, width, BYTES_PER_LINE):
            part = raw[start : start + BYTES_PER_LINE]
            says = f"{meaning}: {show(raw)}" if show else meaning
            yield f"{begin + start:04x}  {part.hex(' ', -4):<48}  {says if start == 0 else ''}".rstrip()
        begin += width


def put(specification: str, text: str) -> str:
    """The specification with the annex between its markers."""
    head, begin, rest = specification.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"SPEC.md has no {BEGIN.strip()} before a {END.strip()}")
    return f"{head}{BEGIN}\n{text}\n{END}{tail}"


def main() -> None:
    """Print the annex, or write it into SPEC.md."""
    parser = argparse.ArgumentParser(description="Print Annex A of SPEC.md: every byte of a tiny model.")
    parser.add_argument("--write", action="store_true", help="put the annex into SPEC.md instead")
    arguments = parser.parse_args()
    text = annex(packed(tiny_model()))
    if not arguments.write:
        sys.stdout.write(text)
        return
    path = schemas.specification_path()
    path.write_text(put(path.read_text(encoding="utf-8"), text), encoding="utf-8")


if __name__ == "__main__":
    main()
