"""Hypothesis strategies for everything that an artifact of Etui may hold.

They draw plain values: documents as their JSON view, tensors as dicts with bytes, whole artifacts as the CONTENT of the
adapter protocol. Nothing of an implementation is imported, so that a library in any language can be tested with them.

| module | draws |
|---|---|
| `names` | paths, segments, names of parts, ops and classes |
| `values` | the values of chapter 5 |
| `tensors` | tensors of every dtype, shape and encoding, and boxes of them |
| `weights`, `configs`, `training`, `optimizers`, `states` | the documents |
| `parts` | assets, programs, native documents |
| `artifacts` | whole CONTENT of every profile |
| `layouts` | the parts of an artifact whose tensors are cut into chunks and spread over shards |
| `faults` | the same with exactly one fault |
"""

from etui_conformance.strategies.artifacts import artifacts
from etui_conformance.strategies.configs import configs
from etui_conformance.strategies.layouts import layouts
from etui_conformance.strategies.names import different_paths, part_names, paths, segments
from etui_conformance.strategies.optimizers import optimizer_documents
from etui_conformance.strategies.scope import EVERYTHING, Scope
from etui_conformance.strategies.states import state_documents
from etui_conformance.strategies.tensors import boxes, tensors
from etui_conformance.strategies.training import training_documents
from etui_conformance.strategies.values import maps, values
from etui_conformance.strategies.weights import weights_documents

__all__ = [
    "EVERYTHING",
    "Scope",
    "artifacts",
    "boxes",
    "configs",
    "different_paths",
    "layouts",
    "maps",
    "optimizer_documents",
    "part_names",
    "paths",
    "segments",
    "state_documents",
    "tensors",
    "training_documents",
    "values",
    "weights_documents",
]
