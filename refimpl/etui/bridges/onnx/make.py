"""Programs of ONNX from models of the core vocabulary."""

from __future__ import annotations

from onnx import ModelProto, checker, helper

from etui import __version__
from etui.bridges.onnx.builder import IR_VERSION, ML, ML_OPSET, OPSET, Builder
from etui.bridges.onnx.emit import Emitter
from etui.bridges.onnx.external import main_name
from etui.core.vocabulary import is_core_config
from etui.errors import error
from etui.model import Blob, Model
from etui.onnx_pointers import MEDIA_TYPE, pointed, present_places
from etui.programs.binding import Binding, index_name
from etui.programs.facts import Signature
from etui.report import Report
from etui.translation import to_core

__all__ = ["program_of"]


def program_of(model: Model, name: str, report: Report) -> dict[str, Blob]:
    """The parts of a program that computes what the model does, whose weights are those of the artifact.

    Args:
        model: with config and weights, whose ops are of the core vocabulary or can be said in it.
        name: of the program.
        report: gets an entry for each module and variable.

    Raises:
        TransferError: ``onnx-op``, ``onnx-shape``, ``onnx-tensor``, ``onnx-build``.
    """
    if model.config is None:
        raise error("onnx-op", found="a model without a config", hint="Give the whole model, not its weights alone.")
    lifting = Report()
    core = model if is_core_config(model.config) else to_core(model, lifting)
    config = core.config or model.config
    reasons = {one.subject: one.detail for one in lifting.entries if one.kind == "module" and one.detail}
    builder = Builder()
    emitter = Emitter(core, config, builder, report, reasons)
    inputs, outputs = emitter.run()
    opsets = [helper.make_opsetid("", OPSET)]
    opsets += [helper.make_opsetid(ML, ML_OPSET)] if ML in builder.domains else []
    proto = helper.make_model(
        builder.graph(config.model.name),
        producer_name="etui",
        producer_version=__version__,
        opset_imports=opsets,
        ir_version=IR_VERSION,
    )
    checker.check_model(_without_data(proto))
    main = proto.SerializeToString(deterministic=True)
    main = pointed(main, present_places(model))
    bound = [emitter.initializers.bound[path] for path in sorted(emitter.initializers.bound)]
    binding = Binding(model.fingerprint("config.json"), None, bound, Signature(inputs, outputs))
    return {main_name(name): Blob.of(main, MEDIA_TYPE), index_name(name): binding.blob()}


def _without_data(proto: ModelProto) -> ModelProto:
    """The model as the checker of `onnx` takes it: with inputs for the initializers whose bytes are elsewhere."""
    copy = ModelProto()
    copy.CopyFrom(proto)
    graph = copy.graph
    kept = [one for one in graph.initializer if one.data_location != one.EXTERNAL]
    gone = [one for one in graph.initializer if one.data_location == one.EXTERNAL]
    graph.input.extend(helper.make_tensor_value_info(one.name, one.data_type, list(one.dims)) for one in gone)
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return copy
