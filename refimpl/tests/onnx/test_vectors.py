"""Programs of the core models of the golden vectors give the numbers that the vectors say."""

from __future__ import annotations

import base64
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.core.vocabulary import ops
from etui.errors import EtuiError

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.frameworks

VECTORS = Path(__file__).parents[3] / "conformance" / "vectors" / "core" / "ops"
BOUND = 1e-5

REFUSED = {
    "expand_dims:mask": "onnx-shape",
    "input:left-out": "onnx-op",
    "sequential:root": "onnx-shape",
    "squeeze:forms": "onnx-shape",
    "squeeze:mask": "onnx-shape",
}
"""What no program says: a squeeze of all axes of size 1 among free ones, absent inputs, a model that names no shape."""

ONLY_REFUSED = {"squeeze"}
"""Ops whose vectors are all refused; the cases that are drawn in tests of the core ops have fixed sizes."""

OTHER_PRECISION = {"identity:precision-float16", "identity:precision-bfloat16"}
"""Vectors about computing in 16 bits; a program computes in float32, and the report says so."""


def array_of(tensor: Any) -> Any:
    """An array as a vector has it."""
    if "strings" in tensor:
        texts = [base64.b64decode(text).decode() for text in tensor["strings"]]
        return np.array(texts, dtype=object).reshape(tensor["shape"])
    return np.frombuffer(base64.b64decode(tensor["data"]), tensor["dtype"]).reshape(tensor["shape"])


def differs(found: Any, wanted: Any) -> str:
    """How an output differs from that of a vector; empty if it does not."""
    if found.shape != wanted.shape:
        return f"the shape {found.shape}, not {wanted.shape}"
    if wanted.dtype.kind != "f":
        return "" if np.array_equal(found, wanted) else f"{found.tolist()}, not {wanted.tolist()}"
    scale = max(1.0, float(np.max(np.abs(wanted[np.isfinite(wanted)]), initial=0.0)))
    near = np.allclose(found, wanted, rtol=0, atol=BOUND * scale, equal_nan=True)
    return "" if near else f"{found.tolist()}, not {wanted.tolist()}"


@pytest.mark.clause("PG-7@12686c", "PG-8@7ed3d5")
@pytest.mark.parametrize("op", list(ops()))
def test_a_program_gives_the_numbers_of_the_vectors(op: str) -> None:
    """Each vector of an op is computed within 1e-5 of its largest number, or refused with the code of the table."""
    counts: Counter[str] = Counter()
    for case in json.loads((VECTORS / f"{op}.json").read_text())["cases"]:
        name = f"{op}:{case['name']}"
        if case["request"]["training"] or name in OTHER_PRECISION:  # a program does not train
            counts["left out"] += 1
            continue
        model = etui.open(base64.b64decode(case["request"]["artifact"]["packed"]["data"]))
        if name in REFUSED:
            with pytest.raises(EtuiError) as caught:
                etui.onnx.export(model)
            assert caught.value.code == REFUSED[name]
            counts["refused"] += 1
            continue
        etui.onnx.export(model)
        session = etui.onnx.session(model)
        names = [one.name for one in session.get_inputs()]
        given = dict(zip(names, map(array_of, case["request"]["inputs"]), strict=True))
        expected = [array_of(tensor) for tensor in case["expected"].get("outputs", [])]
        if not expected:  # what the evaluator refuses, such as a word that is not in the vocabulary
            with pytest.raises(Exception, match=r"out of|indices|INVALID"):
                session.run(None, given)
        else:
            found = session.run(None, given)
            assert [differs(one, two) for one, two in zip(found, expected, strict=True)] == [""] * len(expected), name
        counts["computed"] += 1
    assert (counts["computed"] > 0) == (op not in ONLY_REFUSED)
