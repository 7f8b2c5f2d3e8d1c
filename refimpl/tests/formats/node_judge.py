"""What TensorFlow.js predicts with the layers models that Etui wrote, by the tools of the tests of TensorFlow.js."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np

from etui.testing import npm

arrays = import_module("arrays")  # beside this script

TOOLS = Path(__file__).parent.parent / "tfjs" / "conftest.py"
BOUND = 2e-5  # its kernels are JavaScript, in other orders of summation


def judge(jobs: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The verdict on each job, all of them from one process of Node.

    Args:
        jobs: as `judge.py` takes them, of folders with a `model.json`.
    """
    answers: list[dict[str, str]] = [{} for _ in jobs]
    tasks, asked = [], []
    for number, job in enumerate(jobs):
        data = arrays.load(job["data"])
        inputs = list(leaves(data["x"]))
        if isinstance(data["x"], dict) or any(value.dtype.kind in "OU" for value in inputs):
            answers[number] = {"unjudged": "TensorFlow.js takes no dict and no texts here"}
            continue
        asked.append((number, list(leaves(data["predictions"]))))
        tasks.append({"do": "predict", "folder": job["path"], "kind": "layers", "inputs": [plain(x) for x in inputs]})
    for (number, expected), found in zip(asked, run(tasks), strict=True):
        answers[number] = {"node": compared(expected, found)}
    return answers


def leaves(value: Any) -> Iterator[Any]:
    """The arrays of a nested value, those of a dict in the order of its keys."""
    if isinstance(value, dict):
        value = [value[key] for key in sorted(value)]
    if isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def plain(value: Any) -> dict[str, Any]:
    """An array as the judge of TensorFlow.js takes it."""
    whole = value.dtype.kind in "iub"
    flat = value.astype("int32" if whole else "float32")
    return {"data": flat.ravel().tolist(), "shape": list(flat.shape), "dtype": "int32" if whole else "float32"}


def compared(expected: list[Any], found: dict[str, Any]) -> str:
    """Where the outputs differ, or the words of an error."""
    if "error" in found:
        return " ".join(str(found["error"]).split())[:300]
    outputs = [np.array(one["data"], "float32").reshape(one["shape"]) for one in found["value"]]
    said: str = arrays.difference([np.asarray(value, "float32") for value in expected], outputs, BOUND)
    return said


def run(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run tasks in TensorFlow.js, which is installed once into a cache folder."""
    if not tasks:
        return []
    spec = spec_from_file_location("tfjs_tools", TOOLS)
    assert spec is not None
    assert spec.loader is not None
    tools: Any = module_from_spec(spec)
    spec.loader.exec_module(tools)
    packages = npm.tensorflowjs()
    found: list[dict[str, Any]] = tools.run_script(
        ["node", str(TOOLS.parent / "judge.js")], tasks, NODE_PATH=str(packages)
    )
    return found
