"""What the processes of a program tell each other through JAX's service, and when they stop waiting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import etui

pytestmark = pytest.mark.frameworks


class Service:
    """A client of a service that answers what a test has put there."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.fault = ""
        self.asked = 0
        self.signs = 0
        self.heard_after: int | None = None

    def key_value_set_bytes(self, key: str, value: bytes, allow_overwrite: bool = False) -> None:
        assert allow_overwrite or key not in self.values
        if self.fault:
            raise RuntimeError(self.fault)
        self.values[key] = value

    def blocking_key_value_get_bytes(self, key: str, milliseconds: int) -> bytes:
        assert milliseconds > 0
        self.asked += 1
        if self.fault:
            raise RuntimeError(self.fault)
        if self.heard_after is not None and self.asked > self.heard_after:
            return b'{"heard": true}'
        if key not in self.values:
            raise RuntimeError("DEADLINE_EXCEEDED: GetKeyValue() timed out")
        return self.values[key]

    def key_value_try_get_bytes(self, key: str) -> bytes:
        assert "/alive/" in key
        if self.asked >= self.signs:
            return b"last"
        return str(self.asked).encode()

    def key_value_delete(self, key: str) -> None:
        self.values = {name: value for name, value in self.values.items() if not name.startswith(f"{key}/")}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, Service]]:
    """Makes the processes of a program of two with a service of the test's own, and a clock that a test moves."""
    import jax

    from etui.bridges.jax import processes

    service = Service()
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "process_index", lambda: 0)
    monkeypatch.setattr(processes, "_client", lambda: service)
    # Each look at the clock is ten seconds later than the one before.
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr(processes, "monotonic", lambda: float(next(clock)))
    return lambda timeout=60.0: (processes.Processes(timeout), service)


@pytest.mark.clause("DW-33@31291e")
def test_who_gives_no_sign_of_life_is_not_awaited(made: Any) -> None:
    """A process from which nothing comes counts as gone after the time-out, and the error says who and what."""
    both, service = made(60.0)
    with pytest.raises(etui.StorageError) as caught:
        both.hear("result/1", 1)
    assert caught.value.code == "distributed-timeout"
    assert "process 1" in str(caught.value)
    assert "60 seconds" in str(caught.value)
    assert 2 < service.asked < 9


@pytest.mark.clause("DW-33@31291e")
def test_who_gives_signs_of_life_is_awaited(made: Any) -> None:
    """A process that writes for longer than the time-out is awaited as long as its sign of life changes."""
    both, service = made(20.0)
    service.signs, service.heard_after = 50, 40
    assert both.hear("result/1", 1) == {"heard": True}
    assert service.asked == 41


@pytest.mark.library
def test_what_is_told_is_heard_and_forgotten(made: Any) -> None:
    """What one tells the other hears, each call apart; the next call removes what was said in it."""
    first, service = made()
    first.tell("orders/1", {"plan": [1, 2]})
    assert first.hear("orders/1", 0) == {"plan": [1, 2]}
    second, _ = made()
    second.tell("orders/1", "other")
    assert first.hear("orders/1", 0) == {"plan": [1, 2]}
    second.forget()
    assert list(service.values.values()) == [b'"other"']


@pytest.mark.library
def test_signs_of_life_are_given_in_a_block(made: Any) -> None:
    """Within the block a sign of life is there at once, and no thread is left behind it."""
    import threading

    both, service = made()
    with both.alive():
        for _ in range(1000):
            if any("/alive/0" in key for key in service.values):
                break
            threading.Event().wait(0.01)
        assert [thread.name for thread in threading.enumerate()].count("etui-alive") == 1
    assert any("/alive/0" in key for key in service.values)
    assert [thread.name for thread in threading.enumerate()].count("etui-alive") == 0


@pytest.mark.library
@pytest.mark.parametrize("call", ["tell", "hear"])
def test_a_service_that_is_gone_is_a_coded_error(made: Any, call: str) -> None:
    """What the service's client raises has a code, with its own words."""
    both, service = made()
    service.fault = "UNAVAILABLE: Socket closed"
    with pytest.raises(etui.StorageError) as caught:
        both.tell("end", 1) if call == "tell" else both.hear("end", 0)
    assert caught.value.code == "distributed-process"
    assert "Socket closed" in str(caught.value)


@pytest.mark.library
def test_processes_without_a_service_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several processes that were not started by `jax.distributed.initialize` cannot save together."""
    import jax

    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(etui.UsageError) as caught:
        etui.jax.save_distributed({"a": 1}, "nowhere")
    assert caught.value.code == "distributed-processes"
