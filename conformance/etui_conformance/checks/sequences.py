"""Sequences of requests over few names and shapes: what was read or written before must not show in a reply (CF-10).

Single requests, however many, never see an implementation that keeps something by name or by place; a sequence in which
the same names come back with other shapes does after a few steps.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from etui_conformance.checks.base import Check, Context, Mismatch
from etui_conformance.checks.examine import Findings, conclude, seeded, settings
from etui_conformance.checks.exchange import (
    Question,
    about_parts,
    ask_for,
    check_boxes,
    check_content,
    check_written,
    scope_of,
    to_encode,
)
from etui_conformance.oracle import packed, reading, writing
from etui_conformance.protocol import wire
from etui_conformance.strategies.drafts import Parts
from etui_conformance.strategies.scope import Scope
from etui_conformance.strategies.tensors import boxes, elements

_STEPS = 15
_SHARE = 0.4
_PATHS = ("a/kernel", "a/bias", "b")
_SHAPES = ((2, 3), (3, 2), (6,), ())
_DTYPES = ("float32", "int32", "float64", "int8")
_PLACES = ("one", "two")

Content = dict[str, Any]


def checks() -> list[Check]:
    """Sequences of reading, and of reading and writing."""
    reading_only = frozenset({"decode", "weights"})
    return [
        Check(
            "sequence/reading",
            ("CF-10", "CF-34", "E-2", "H-5", "H-6"),
            reading_only,
            "read each artifact as if it were the first one",
            partial(_run, name="sequence/reading", writes=False),
        ),
        Check(
            "sequence/writing",
            ("CF-10", "CF-26", "CF-34", "D-5", "F-7", "F-8", "M-7"),
            reading_only | {"encode"},
            "write over artifacts, and read what was written last",
            partial(_run, name="sequence/writing", writes=True),
        ),
    ]


@st.composite
def small_contents(draw: st.DrawFn, scope: Scope) -> Content:
    """Weights of a few names, shapes and dtypes, in any order, with and without an alias."""
    dtypes = [dtype for dtype in _DTYPES if dtype in scope.dtypes]
    paths = draw(st.lists(st.sampled_from(_PATHS), min_size=1, unique=True))
    tensors: dict[str, dict[str, Any]] = {}
    for path in paths:
        dtype, shape = draw(st.sampled_from(dtypes)), list(draw(st.sampled_from(_SHAPES)))
        tensors[path] = {"dtype": dtype, "shape": shape, "data": draw(elements(dtype, 6 if shape else 1))}
    variables = {
        path: {"dtype": one["dtype"], "order": order, "role": "kernel", "shape": one["shape"], "trainable": True}
        for order, (path, one) in enumerate(tensors.items())
    }
    aliases = {"tied": paths[0]} if draw(st.booleans()) else {}
    weights = {"aliases": aliases, "format": "etui-weights", "variables": variables, "version": "1.0"}
    return {"profile": "weights", "weights": weights, "tensors": {"weights": tensors}}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an artifact is: a path that is used again and again, and the form."""

    path: Path
    form: str

    def artifact(self) -> dict[str, Any]:
        """It, for a request."""
        path = str(self.path)
        return {"directory": path} if self.form == "directory" else {"packed": {"file": path}}

    def put(self, parts: Parts) -> None:
        """Write an artifact there by other hands than the implementation's."""
        if self.form == "packed":
            self.path.write_bytes(packed.pack(parts))
            return
        shutil.rmtree(self.path, ignore_errors=True)
        for name, data in parts.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_bytes(data)


@dataclass(frozen=True, slots=True)
class Setup:
    """What a run of sequences shares.

    Attributes:
        context: of the check.
        findings: what was found until now.
        places: where artifacts are put.
        contents: what they hold.
    """

    context: Context
    findings: Findings
    places: list[Place]
    contents: st.SearchStrategy[Content]

    def forms(self) -> list[str]:
        """The forms that the implementation knows."""
        return sorted({place.form for place in self.places})


def _run(context: Context, *, name: str, writes: bool) -> None:
    """Run sequences, and raise the shortest one that shows something."""
    hello = context.session.hello
    root = wire.new_path(context.folder)
    root.mkdir()
    places = [
        Place(root / f"{form}-{place}{'.etui' * (form == 'packed')}", form)
        for form in ("packed", "directory")
        if form in hello.forms
        for place in _PLACES
    ]
    setup = Setup(context, Findings(), places, small_contents(scope_of(hello)))
    machine = type("Sequence", (WritingSequence if writes else ReadingSequence,), {"setup": setup})
    chosen = settings(context, _SHARE, stateful_step_count=_STEPS)
    conclude(setup.findings, lambda: run_state_machine_as_test(seeded(context, name, machine), settings=chosen))


class ReadingSequence(RuleBasedStateMachine):
    """Steps of reading, what is at each place, and the steps that led there."""

    setup: ClassVar[Setup]

    def __init__(self) -> None:
        super().__init__()
        self.there: dict[Place, Content] = {}
        self.steps: list[str] = []
        for place in self.setup.places:
            shutil.rmtree(place.path, ignore_errors=True)
            place.path.unlink(missing_ok=True)

    def step(self, text: str) -> Step:
        """Note a step, and watch what it finds."""
        self.steps.append(text)
        return Step(self.setup.findings, self.steps)

    def any_place(self, data: st.DataObject) -> Place:
        """One of the places."""
        return data.draw(st.sampled_from(self.setup.places))

    def known_place(self, data: st.DataObject) -> Place:
        """One of those where there is an artifact."""
        return data.draw(st.sampled_from(list(self.there)))

    def question(self, op: str, place: Place, **fields: Any) -> Question:
        """A request about the artifact at a place."""
        files: Mapping[str, bytes] = writing.write(self.there[place])
        if place.form == "packed":
            files = {"artifact.etui": packed.pack(files)}
        return Question(self.setup.context.session, op, {"artifact": place.artifact(), **fields}, files)

    @rule(data=st.data())
    def put(self, data: st.DataObject) -> None:
        """Somebody else writes an artifact over what is there."""
        place, content = self.any_place(data), data.draw(self.setup.contents)
        with self.step(f"another at {place.path.name}") as go:
            if go:
                place.put(writing.write(content))
                self.there[place] = content

    @precondition(lambda self: self.there)
    @rule(data=st.data(), want=st.sampled_from(["all", "documents"]))
    def read(self, data: st.DataObject, want: str) -> None:
        """Read what is at a place, and boxes of its tensors."""
        place = self.known_place(data)
        content = self.there[place]
        aliases = content["weights"]["aliases"]
        asked = []
        names = st.sampled_from([*content["weights"]["variables"], *aliases])
        for path in data.draw(st.lists(names, min_size=1, max_size=2)):
            shape = content["weights"]["variables"][aliases.get(path, path)]["shape"]
            asked.append(("weights", path, data.draw(st.none() | boxes(shape))))
        with self.step(f"read {want} at {place.path.name}") as go:
            if go:
                question = self.question("decode", place, want=want, read=ask_for(asked))
                fields = question.accepted()
                expected = content if want == "all" else {**content, "tensors": {}}
                check_content(question, fields, expected, frozenset({"weights"}))
                check_boxes(question, fields, content, asked)
                identity = reading.identity(writing.write(content))
                if fields.get("identity") != identity:
                    raise question.mismatch("another identity", identity, fields.get("identity"))

    @rule(data=st.data(), part=st.sampled_from(["weights.json", "weights.safetensors"]), then=st.integers(0, 3))
    def refuse(self, data: st.DataObject, part: str, then: int) -> None:
        """Be asked for an artifact that was changed, and refuse it; and perhaps forget everything."""
        parts = writing.write(data.draw(self.setup.contents))
        form = data.draw(st.sampled_from(self.setup.forms()))
        parts[part] = parts[part][:-1] + bytes([parts[part][-1] ^ 1])
        with self.step("refuse one") as go:
            if go:
                about_parts(self.setup.context.session, "decode", parts, form, want="all").refused(["digest-mismatch"])
        if then == 3:
            with self.step("reset") as go:
                if go:
                    Question(self.setup.context.session, "reset", {}, {}).accepted()


class WritingSequence(ReadingSequence):
    """The same with an implementation that writes."""

    def encoding(self, content: Content, place: Place) -> Question:
        """The request to write a content at a place."""
        return to_encode(self.setup.context.session, content, place.form, place.path)

    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        """Write an artifact over what is there."""
        place, content = self.any_place(data), data.draw(self.setup.contents)
        with self.step(f"write at {place.path.name}") as go:
            if go:
                question = self.encoding(content, place)
                question.accepted()
                self.there[place] = content
                check_written(question, place.form, place.path, writing.write(content))

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        """Be asked to write what breaks a clause: what was there stays."""
        place, content = self.known_place(data), data.draw(self.setup.contents)
        weights = {**content["weights"], "aliases": {"tied": "nothing"}}
        with self.step(f"fail to write at {place.path.name}") as go:
            if go:
                question = self.encoding({**content, "weights": weights}, place)
                if question.ask().result == "ok":
                    del self.there[place]
                else:
                    check_written(question, place.form, place.path, writing.write(self.there[place]))

    @precondition(lambda self: self.there and "transcode" in self.setup.context.session.hello.ops)
    @rule(data=st.data())
    def rewrite(self, data: st.DataObject) -> None:
        """Write what is at one place anew, at another or the same."""
        source, target = self.known_place(data), self.any_place(data)
        content = self.there[source]
        with self.step(f"rewrite {source.path.name} at {target.path.name}") as go:
            if go:
                question = self.question("transcode", source, form=target.form, path=str(target.path))
                question.accepted()
                self.there[target] = content
                check_written(question, target.form, target.path, writing.write(content))


class Step:
    """A step that is only taken while there is something to find; a finding says after which steps it came."""

    def __init__(self, findings: Findings, steps: list[str]) -> None:
        self._findings = findings
        self._steps = steps
        self._watch = findings.watching()

    def __enter__(self) -> bool:
        self._watch.__enter__()
        return not self._findings.done

    def __exit__(
        self, kind: type[BaseException] | None, found: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if isinstance(found, Mismatch):
            found.args = (f"{found.args[0]}, after: {'; '.join(self._steps)}",)
        return self._watch.__exit__(kind, found, trace)
