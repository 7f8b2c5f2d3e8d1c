"""What the tests of remote storage share: an S3, a web server, and what fsspec keeps in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import fsspec
import numpy as np
import pytest
from fsspec.config import conf

from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.model import Model
from etui.storage import remote_failures
from etui.testing.servers import S3, Web, s3_server, web_server

Build = Callable[..., Model]


@pytest.fixture
def build() -> Build:
    """Makes a model of so many kernels of so many float32 elements, with the same numbers for the same seed."""

    def of(count: int, elements: int, seed: int = 0) -> Model:
        weights, random = Weights(), np.random.default_rng(seed)
        for number in range(count):
            values = random.standard_normal(elements, dtype=np.float32)
            weights.add(f"layer_{number}/kernel", Tensor.of(values), role="kernel")
        return Model(weights=weights)

    return of


@pytest.fixture(scope="session")
def shared_s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(shared_s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """An empty bucket `bucket`, which fsspec's own configuration leads to."""
    monkeypatch.setitem(conf, "s3", shared_s3.options)
    fs = fsspec.filesystem("s3")
    for name in fs.find("bucket"):
        fs.rm_file(name)
    fs.invalidate_cache()
    shared_s3.take()
    yield shared_s3
    shared_s3.refuse = lambda _: None


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as server:
        yield server


@pytest.fixture
def memory() -> Iterator[str]:
    """The URL of an empty folder in memory."""
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    yield "memory://run"
    fs.store.clear()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server on this machine needs no rest between two tries."""
    monkeypatch.setattr(remote_failures, "PAUSES", (0.0, 0.0, 0.0))
