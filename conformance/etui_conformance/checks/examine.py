"""Hypothesis in a run of the suite: examples against one implementation, and the smallest failure as the finding."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, Generic, TypeVar

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis import strategies as st

from etui_conformance.checks.base import Context, Mismatch
from etui_conformance.protocol.session import AdapterFailure

SHRINK_SECONDS = 10.0
"""How long a failure may be made smaller, counted from the first one."""

FAILURES = 3
"""How often an adapter may fall over before its failure is taken as it is."""

QUICK_EXAMPLES = 4
LEAST_EXAMPLES = 2

Drawn = TypeVar("Drawn")
Test = TypeVar("Test", bound=Callable[..., Any])


class Example(Generic[Drawn]):
    """What was drawn, in a wrapper that is short where Hypothesis would print it: artifacts are long."""

    __slots__ = ("drawn",)

    def __init__(self, drawn: Drawn) -> None:
        self.drawn = drawn


class Findings:
    """Remembers the last failure that was seen, and when to stop looking for smaller ones.

    A hang costs its time-out with each attempt, so that the first one is the last.
    """

    def __init__(self) -> None:
        self.last: Mismatch | AdapterFailure | None = None
        self._first = 0.0
        self._failures = 0
        self._hung = False

    @property
    def done(self) -> bool:
        """Whether what is known is taken as it is."""
        if self.last is None:
            return False
        return self._hung or self._failures >= FAILURES or time.monotonic() - self._first > SHRINK_SECONDS

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note the failures of what is done within, and let them through."""
        try:
            yield
        except (Mismatch, AdapterFailure) as failure:
            if self.last is None:
                self._first = time.monotonic()
            self.last = failure
            if isinstance(failure, AdapterFailure):
                self._failures += 1
                self._hung = self._hung or failure.kind in ("hang", "start")
            raise


def examine(
    context: Context,
    name: str,
    strategy: st.SearchStrategy[Drawn],
    body: Callable[[Drawn], None],
    *,
    share: float = 1.0,
) -> None:
    """Ask about examples of a strategy, and raise the smallest failure that was found.

    Args:
        context: of the check.
        name: of the check; with the run's seed it decides which examples are drawn.
        strategy: gives examples.
        body: asks about one; raises `Mismatch`, or lets `AdapterFailure` through.
        share: of the run's number of examples.

    Raises:
        Mismatch, AdapterFailure: the smallest failure that was seen.
    """
    findings = Findings()

    def run(example: Example[Drawn]) -> None:
        if not findings.done:
            with findings.watching():
                body(example.drawn)

    test = seeded(context, name, settings(context, share)(hypothesis.given(strategy.map(Example))(run)))
    conclude(findings, test)


def conclude(findings: Findings, test: Callable[[], Any]) -> None:
    """Run a test of Hypothesis, and raise what was found in the place of what Hypothesis makes of it."""
    try:
        test()
    except (Exception, ExceptionGroup) as trouble:  # flaky, where a failure was taken as it is or does not come twice
        if findings.last is None:
            raise
        found = findings.last
        getattr(found, "__notes__", []).clear()
        if trouble is found:
            raise
    if findings.last is not None:
        raise findings.last from None


def settings(context: Context, share: float = 1.0, **more: Any) -> hypothesis.settings:
    """How examples are drawn in a run: a fixed number, without a database, whatever they take."""
    quick = context.settings.quick
    wanted = min(QUICK_EXAMPLES, context.settings.examples) if quick else context.settings.examples
    return hypothesis.settings(
        max_examples=max(1 if quick else LEAST_EXAMPLES, round(wanted * share)),
        database=None,
        deadline=None,
        derandomize=False,  # the seed decides; where CI is set, Hypothesis would not ask it
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
        **more,
    )


def seeded(context: Context, name: str, test: Test) -> Test:
    """A test of Hypothesis, or a state machine, whose examples follow from the check and the seed of the run."""
    _draw_the_same_everywhere()
    decorated: Test = hypothesis.seed(seed_of(context, name))(test)
    return decorated


@cache
def _draw_the_same_everywhere() -> None:
    """Keep Hypothesis from drawing constants out of the modules that happen to be imported, which no seed decides."""
    with suppress(ImportError, AttributeError):  # a release that does not do so, or does it elsewhere
        from hypothesis.internal.conjecture import providers

        # Another test of the process may have collected some already, and drawn from them.
        none = type(providers._local_constants)()  # noqa: SLF001  there is no setting for it
        providers._get_local_constants = lambda: none  # noqa: SLF001
        providers.CONSTANTS_CACHE.cache.clear()


def seed_of(context: Context, name: str) -> int:
    """The seed of a check: always the same without one of the run, so that a run can be repeated."""
    text = f"{context.settings.seed}:{name}" if context.settings.seed is not None else name
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
