"""Hypothesis strategies for whole models, as artifacts hold them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from etui.model import Blob, Model, Native
from etui.testing import containers
from etui.testing.containers import Names

Strategy = st.SearchStrategy

PROFILES = {
    "config": ("config",),
    "weights": ("weights",),
    "model": ("config", "weights"),
    "training": ("config", "weights", "optimizer"),
    "checkpoint": ("weights", "optimizer"),
    "checkpoint of state": ("weights", "state"),
}
"""The documents that each profile has; further ones are drawn."""

_MAY = {
    "config": ("training",),
    "weights": (),
    "model": ("training", "state"),
    "training": ("training", "state"),
    "checkpoint": ("training", "state"),
    "checkpoint of state": ("training", "optimizer"),
}
_ASSETS = ("assets/vocabulary.txt", "assets/tables/a%20b.bin", "assets/empty")
_PROGRAMS = ("programs/forward/main.onnx", "programs/forward/weights.bin")
_NATIVE = ("native/keras/config.json", "native/torch/pickle")


@st.composite
def models(draw: st.DrawFn) -> Model:
    """Models of every profile, with assets, programs, native documents and metadata."""
    profile = draw(st.sampled_from(sorted(PROFILES)))
    roles = {*PROFILES[profile], *draw(st.lists(st.sampled_from(_MAY[profile] or PROFILES[profile]), max_size=2))}
    model = Model(
        assets=draw(_blobs(_ASSETS)),
        programs=draw(_blobs(_PROGRAMS)),
        weights=draw(containers.weights(min_size=1)) if "weights" in roles else None,
    )
    variables = list(model.weights.variables) if model.weights is not None else ["dense/kernel"]
    aliases = list(model.weights.aliases) if model.weights is not None else []
    names = Names(variables=[*variables, *aliases], assets=list(model.assets))
    if "config" in roles:
        model.config = draw(containers.configs(names))
        names = replace(names, modules=[path for path, _ in model.config.walk() if path])
    if "training" in roles:
        model.training = draw(containers.trainings(names))
    if "optimizer" in roles:
        model.optimizer = draw(containers.optimizer_states(replace(names, variables=variables)))
    if "state" in roles:
        model.state = draw(containers.states(names))
    model.metadata = draw(containers.maps_naming(names))
    model.native = {name: _native(draw, model, name, blob) for name, blob in draw(_blobs(_NATIVE)).items()}
    return model


def _blobs(names: tuple[str, ...]) -> Strategy[dict[str, Blob]]:
    media_types = st.sampled_from(["application/octet-stream", "text/plain; charset=utf-8"])
    return st.dictionaries(st.sampled_from(names), st.builds(Blob.of, st.binary(max_size=100), media_types), max_size=2)


def _native(draw: st.DrawFn, model: Model, name: str, blob: Blob) -> Native:
    framework = name.split("/")[1]
    documents = [document.name for document, _ in model.documents()]
    bound: list[str] = draw(st.lists(st.sampled_from(documents), unique=True))
    stale: bool = draw(st.booleans())
    native = model.bind(blob, framework, draw(st.sampled_from([None, "3.15.1"])), *bound)
    return replace(native, bindings={bound[0]: "sha256:" + "0" * 64}) if bound and stale else native
