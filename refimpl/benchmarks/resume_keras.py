"""Resuming in Keras 3 on each of its backends and in tf_keras, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from resume_case import Case, Result


class Keras:
    """A target that is a Keras.

    Attributes:
        name: ``keras-jax``, ``keras-tensorflow``, ``keras-torch`` or ``tf_keras``.
    """

    VARIANTS = ("resumed",)
    CONTROLS = ("fresh-state", "step-off-by-one")

    def __init__(self, name: str) -> None:
        self.name = name
        self._worker: subprocess.Popen[str] | None = None
        self._floors: dict[Path, list[float]] = {}

    def applies(self, variant: str, optimizer: str, dtype: str) -> bool:  # noqa: ARG002  all are of both dtypes
        """Controls are run where the fault that they make is one."""
        if variant == "step-off-by-one":
            return optimizer == "adam"
        return variant in self.VARIANTS or optimizer in {"adam", "rmsprop", "sgd-momentum"}

    def run(self, case: Case, variant: str) -> Result:
        """Load the model live and train on."""
        found = self._ask(case, variant)
        return Result(found["losses"], found["transfer"], found["reason"])

    def floor(self, case: Case) -> list[float]:
        """The losses of the same steps after the state was put into the target by hand."""
        if case.path not in self._floors:
            self._floors[case.path] = self._ask(case, "by-hand")["losses"]
        return self._floors[case.path]

    def _ask(self, case: Case, variant: str) -> dict[str, Any]:
        """One line to the worker, and its answer.

        Raises:
            RuntimeError: the worker ended.
        """
        if self._worker is None:
            backend = self.name.removeprefix("keras-") if self.name != "tf_keras" else "tensorflow"
            self._worker = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("resume_worker.py")), self.name.partition("-")[0]],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"KERAS_BACKEND": backend},
            )
        worker = self._worker
        assert worker.stdin is not None
        assert worker.stdout is not None
        question = {name: str(getattr(case, name)) for name in ("optimizer", "model", "dtype", "path", "arrays")}
        worker.stdin.write(json.dumps(question | {"variant": variant}) + "\n")
        worker.stdin.flush()
        answer = worker.stdout.readline()
        if not answer:
            message = f"the process of {self.name} ended with {worker.wait()}"
            raise RuntimeError(message)
        return dict(json.loads(answer))
