"""Choosing what runs a model, and running it in this process: a program, or the reference evaluator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from etui.containers.config import Config
from etui.core.evaluate import evaluate
from etui.core.flows import leaves
from etui.core.vocabulary import is_core_config
from etui.errors import EtuiError, error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.programs.facts import Facts, Signature, Spec, specs_of
from etui.programs.inputs import Given, fitted
from etui.programs.kinds import Kind
from etui.programs.listing import facts_of, in_order, kind_of
from etui.programs.naming import signature_of
from etui.report import Report
from etui.translation import to_core

Array = npt.NDArray[Any]
EVALUATOR = "evaluator"
_SERVING = ("serving_default", "serve")


@dataclass(frozen=True, slots=True)
class Passed:
    """Something that was not chosen.

    Attributes:
        program: its name; `None` for the evaluator.
        kind: of the program; `None` where it is not known.
        reason: why not.
    """

    program: str | None
    kind: str | None
    reason: str


@dataclass(slots=True)
class Result:
    """What a run gave, and what ran.

    Attributes:
        outputs: an array for each output by its name, in order.
        kind: of the program that ran, or ``evaluator``.
        program: its name; `None` for the evaluator.
        signature: of the program; empty where its kind has one alone.
        reason: why it was chosen.
        passed: what was not chosen, and why.
        inputs: the inputs as they were taken.
        casts: a sentence for each input that was cast.
        identity: of the artifact; `None` for another model.
    """

    outputs: dict[str, Array]
    kind: str
    program: str | None = None
    signature: str = ""
    reason: str = ""
    passed: list[Passed] = field(default_factory=list)
    inputs: list[Spec] = field(default_factory=list)
    casts: list[str] = field(default_factory=list)
    identity: str | None = None

    def __getitem__(self, name: str) -> Array:
        """An output by its name."""
        return self.outputs[name]

    @property
    def value(self) -> Array:
        """The output of a model that has one alone.

        Raises:
            UsageError: ``run-output``.
        """
        if len(self.outputs) != 1:
            raise error("run-output", found=f"the outputs {shown(list(self.outputs), 200)}", hint="Name one of them.")
        return next(iter(self.outputs.values()))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller asks for.

    Attributes:
        program: the name of the program to run; `None` for a choice.
        evaluator: run the reference evaluator.
        signature: of a program that has several.
        stale: run a program of another config or other weights.
        effects: run a program that could run other code, or reach files.
    """

    program: str | None = None
    evaluator: bool = False
    signature: str | None = None
    stale: bool = False
    effects: bool = False


Runner = Callable[[str], Result]
"""Runs the program of a name; the reason of its result is what is to be added to the one for which it was chosen."""


def run_model(
    model: Model, inputs: Given, wanted: Wanted, limits: Limits = DEFAULT_LIMITS, runner: Runner | None = None
) -> Result:
    """Run a model, its programs by a runner or in this process; see `etui.run`."""

    def here(name: str) -> Result:
        return run_program(model, name, inputs, wanted, limits)

    run = here if runner is None else runner
    if wanted.program is not None:
        if wanted.evaluator:
            raise error("program-option", found="a program, and the evaluator")
        result = run(wanted.program)
        result.reason = "it was asked for" + result.reason
        return result
    if wanted.evaluator:
        return _evaluate(model, inputs, "it was asked for")
    return _choose(model, inputs, run)


def _choose(model: Model, inputs: Given, run: Runner) -> Result:
    """The first program that is current, can be run here and takes the inputs; else the evaluator."""
    passed: list[Passed] = []
    faults: list[EtuiError] = []
    for name in in_order(model):
        try:
            result = run(name)
        except EtuiError as fault:
            kind, _ = kind_of(model, name)
            passed.append(Passed(name, None if kind is None else kind.name, _reason(fault)))
            faults.append(fault)
        else:
            result.reason = "the first program that can be run here" + result.reason
            result.passed = passed
            return result
    reason = "no program of it can be run here" if passed else "it has no program"
    try:
        result = _evaluate(model, inputs, reason)
    except EtuiError as fault:
        if not passed:
            raise
        passed.append(Passed(None, EVALUATOR, _reason(fault)))
        for one in faults:
            if one.code.startswith("run-input"):  # what the caller can mend
                raise one from fault
        found = "; ".join(f"{one.program or one.kind}: {one.reason}" for one in passed)
        raise error("run-none", found=found) from fault
    result.passed = passed
    return result


def _reason(fault: EtuiError) -> str:
    return f"{fault.found or fault} [{fault.code}]"


@dataclass(frozen=True, slots=True)
class Ready:
    """A program that may be run, and what it is given."""

    kind: Kind
    facts: Facts
    signature: str
    arrays: dict[str, Array]
    casts: list[str]


def prepared(model: Model, name: str, inputs: Given, wanted: Wanted, limits: Limits) -> Ready:
    """Make sure that a program may be run with these inputs; nothing is run.

    Raises:
        EtuiError: as `etui.run` says.
    """
    kind, facts = facts_of(model, name, limits)
    where = f"programs/{name}"
    if facts.stale and not wanted.stale:
        raise error("program-stale", where=where, found=facts.stale)
    if facts.effects and not wanted.effects:
        raise error("program-effects", where=where, found=", ".join(facts.effects))
    kind.translator.check_installed()
    chosen = _signature(facts, wanted.signature, where)
    arrays, casts = fitted(inputs, facts.signatures[chosen].inputs)
    return Ready(kind, facts, chosen, arrays, casts)


def run_program(model: Model, name: str, inputs: Given, wanted: Wanted, limits: Limits = DEFAULT_LIMITS) -> Result:
    """Run one program in this process; a `Runner`.

    Raises:
        EtuiError: as `etui.run` says.
    """
    ready = prepared(model, name, inputs, wanted, limits)
    outputs = ready.kind.translator.run(model, name, ready.signature, ready.arrays, limits)
    reason = f", though it is stale: {ready.facts.stale}" if ready.facts.stale else ""
    return Result(
        outputs,
        ready.kind.name,
        name,
        ready.signature,
        reason,
        inputs=specs_of(ready.arrays),
        casts=ready.casts,
        identity=model.digest,
    )


def _signature(facts: Facts, wanted: str | None, where: str) -> str:
    names = list(facts.signatures)
    if wanted is not None:
        if wanted not in names:
            raise error("program-missing", where=where, found=f"the signature {shown(wanted)} of {shown(names, 200)}")
        return wanted
    default = [name for name in _SERVING if name in names] or names
    if default and (default[0] in _SERVING or len(names) == 1):
        return default[0]
    hint = "Name one: `signature=…`, or `--signature`."
    raise error("program-missing", where=where, found=f"no signature to take of {shown(names, 200)}", hint=hint)


def _evaluate(model: Model, inputs: Given, reason: str) -> Result:
    """The outputs by the definitions of the ops."""
    if model.config is None:
        raise error("run-none", found="a model without a config cannot be evaluated")
    account = Report()
    core = model if is_core_config(model.config) else to_core(model, account)
    if core.config is None or not is_core_config(core.config):
        raise error("run-none", found=_undefined(core.config or model.config, account))
    signature = signature_of(core.config)
    arrays, casts = fitted(inputs, signature.inputs)
    given = [arrays.get(spec.name) for spec in signature.inputs]
    outputs = _named(evaluate(core, given), signature)
    return Result(outputs, EVALUATOR, reason=reason, inputs=specs_of(arrays), casts=casts, identity=model.digest)


def _undefined(config: Config, account: Report) -> str:
    """Which modules have no definition, and why the first of them has none."""
    lost = [entry for entry in account.entries if entry.kind == "module" and entry.status == "data-only"]
    ops = sorted({module.op for _, module in config.walk() if module.op and not module.op.startswith("core:")})
    if not lost:
        return f"the evaluator has no definition of {shown(ops, 200)}"
    more = f", and {len(lost) - 1:,} more like it" if len(lost) > 1 else ""
    return f"the evaluator has no definition of {shown(lost[0].subject)}: {lost[0].detail}{more}"


def _named(found: Any, signature: Signature) -> dict[str, Array]:
    values = list(leaves(found))
    names = [spec.name for spec in signature.outputs]
    if len(names) != len(values):  # a module without a graph, which gives several tensors
        names = [f"output_{number}" for number in range(len(values))]
    return {name: np.asarray(value) for name, value in zip(names, values, strict=True)}


def sequence(value: Any) -> Sequence[Any]:
    """A value as a list of inputs: an array is one, a list of arrays are several."""
    return value if isinstance(value, list | tuple) else [value]
