"""Arrays on their way to the process that runs a program, and back: numbers in an `.npz` file, texts in JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from etui import dtypes
from etui.errors import error
from etui.storage.numpy_files import read_arrays, write_arrays
from etui.storage.transaction import replace_file

Array = npt.NDArray[Any]


def send(folder: Path, name: str, document: Mapping[str, Any], arrays: Sequence[Any]) -> None:
    """Write a document, and arrays beside it; `None` among the arrays stays so.

    Raises:
        UsageError: ``run-input-dtype``, an array of Python objects.
        StorageError: ``storage-failed``.
    """
    numbers: dict[str, Array] = {}
    described: list[Any] = []
    for at, value in enumerate(arrays):
        if value is None:
            described.append(None)
            continue
        array = np.asarray(value)
        if array.dtype.kind in "OSU":
            described.append({"shape": list(array.shape), "texts": [_text(item) for item in array.flat]})
        else:
            described.append({"dtype": array.dtype.name})
            numbers[str(at)] = array
    write_arrays(folder / f"{name}.npz", numbers)
    with replace_file(folder / f"{name}.json") as file:
        file.write(json.dumps({**document, "arrays": described}).encode())


def receive(folder: Path, name: str) -> tuple[dict[str, Any], list[Any]]:
    """What `send` wrote."""
    document = json.loads((folder / f"{name}.json").read_bytes())
    numbers = read_arrays(folder / f"{name}.npz")
    found: list[Any] = []
    for at, described in enumerate(document.pop("arrays")):
        if described is None:
            found.append(None)
        elif "texts" in described:
            array = np.empty(len(described["texts"]), dtype=object)
            array[:] = [_original(item) for item in described["texts"]]
            found.append(array.reshape(described["shape"]))
        else:
            plain = numbers[str(at)] if isinstance(numbers, dict) else numbers
            known = dtypes.DTYPES.get(described["dtype"])
            found.append(plain.view(known.numpy) if plain.dtype.kind == "V" and known is not None else plain)
    return document, found


def _text(item: Any) -> Any:
    if isinstance(item, str):
        return item.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    if isinstance(item, bytes):
        return {"bytes": base64.b64encode(item).decode()}
    raise error("run-input-dtype", found="an array of Python objects")


def _original(item: Any) -> Any:
    return base64.b64decode(item["bytes"]) if isinstance(item, dict) else item
