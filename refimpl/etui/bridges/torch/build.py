"""Torch modules from core graphs (SPEC.md, annex M.1)."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from torch import nn

from etui.bridges.torch.arrays import tensor_of, torch_dtype
from etui.bridges.torch.binding import Binding, Layout, Record, set_record
from etui.bridges.torch.calls import fill_graph, fill_sequence
from etui.bridges.torch.graph import Graph, Rule, add_rule
from etui.bridges.torch.layers.registry import Spec, makers
from etui.bridges.torch.naming import free_name
from etui.bridges.torch.rules import constraint, regularizer
from etui.bridges.torch.steps import GRAPHS, Step, untyped
from etui.containers.config import Config, Module
from etui.containers.weights import Variable, Weights
from etui.core import vocabulary
from etui.core.check import check_module
from etui.errors import error, shown
from etui.model import Model
from etui.report import Report
from etui.transfer import EXACT, NOT_TRANSFERABLE, Transfer

StrPath = str | os.PathLike[str]

_NO_MODULE = frozenset({"input"})
_FLOAT32 = "float32"


def to_module(
    source: StrPath | Model,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    strict: bool = True,
    report: Report | None = None,
) -> Graph:
    """Build a torch module that computes what a model does, with the model's own names and its weights.

    The module is a tree of torch's own modules, or of subclasses and small classes beside them, in the mode of
    evaluation. Tensors keep the model's own order of axes. Every variable is one parameter or buffer.

    Args:
        source: an etui, a file of any format that is read, or a model; one that is not in the core vocabulary is
            translated.
        device: where the parameters are to be.
        dtype: of all floating parameters and buffers, and of the computation; by default what the model says.
        strict: refuse a model of which something is lost in translation.
        report: gets the account of every module and variable.

    Returns:
        The module; see `Graph` for its call, `regularization_loss` and `apply_constraints`.

    Raises:
        TransferError: ``torch-op``, an op that torch cannot express; ``torch-value``, ``torch-variable`` or
            ``torch-dtype``, a thing of the model that it cannot; ``not-complete``, a strict translation lost something.
        RejectError: the file is refused, or its core modules are not as the vocabulary defines them.
        UsageError: ``format-unknown``.
        StorageError: it cannot be read.
    """
    account = Report() if report is None else report
    if isinstance(source, Model):
        return _built(source, device, dtype, strict=strict, report=account)
    from etui import conversion  # the formats' readers are needed for files alone

    account.source = account.source or os.fspath(source)
    reading = Report(os.fspath(source))
    model, _ = conversion.read(source, report=reading, native=False)
    with model:
        if strict:
            reading.require_complete()
        return _built(model, device, dtype, strict=strict, report=account)


def _built(
    model: Model, device: torch.device | str | None, dtype: torch.dtype | None, *, strict: bool, report: Report
) -> Graph:
    if model.config is None or model.weights is None:
        absent = "config" if model.config is None else "weights"
        raise error("torch-variable", where=report.source, found=f"a model without {absent}")
    if not vocabulary.is_core_config(model.config):
        from etui.translation import to_core  # a model of the core vocabulary needs no translation

        model = to_core(model, report)
        if strict:
            report.require_complete(allow=("not-transferable",))
    report.target = report.target or "torch"
    builder = Builder(model, report, cast=dtype is None)
    root = builder.build()
    return root.to(device=device, dtype=dtype).eval()


class Builder:
    """Makes the modules of one model; the `Home` of the makers.

    Args:
        model: in the core vocabulary.
        report: gets the account.
        cast: whether modules compute in the precision that the config says.
    """

    def __init__(self, model: Model, report: Report, *, cast: bool) -> None:
        if model.config is None or model.weights is None:
            raise error("torch-variable", found="a model without config or weights")
        self.model, self.report = model, report
        self.config: Config = model.config
        self.weights: Weights = model.weights
        self.mixed = cast and any(_precision(module) != (_FLOAT32, _FLOAT32) for _, module in self.config.walk())
        self.made: dict[str, tuple[nn.Module, Step]] = {}
        self.tensors: dict[str, tuple[torch.Tensor, Layout]] = {}

    def build(self) -> Graph:
        """The root module, with its record.

        Raises:
            TransferError: see `to_module`.
        """
        self._check_ops()
        root, _ = self._made("", self.config.model)
        if not isinstance(root, Graph):
            raise error("torch-op", where=self.config.model.name, found=f"{self.config.model.op} as a whole model")
        bindings = self._bindings(root)
        names = {id(module): name for name, module in root.named_modules()}
        kept = {path: variable for path, variable in self.weights.variables.items() if path not in self.tensors}
        rest = Weights({path: _held(path, variable, self.report) for path, variable in kept.items()})
        record = Record(
            Model(
                config=self.config,
                weights=rest,
                training=self.model.training,
                metadata=dict(self.model.metadata),
            ),
            bindings,
            list(self.weights.variables),
            dict(self.weights.aliases),
            {path: names[id(module)] for path, (module, _) in self.made.items()},
        )
        set_record(root, record)
        return root

    def _check_ops(self) -> None:
        """Account for every module; refuse a model with one that torch cannot express, after all are told."""
        lost = []
        for path, module in self.config.walk():
            if module.kind == "shared":
                continue
            name = module.op.removeprefix(vocabulary.NAMESPACE)
            known = vocabulary.is_core(module) and (name in makers() or name in GRAPHS | _NO_MODULE | {"parameter"})
            if known:
                check_module(module, f"config.json at {path or 'the model'}", self.weights)
                self.report.add("module", path or module.name, "translated", "", Transfer(EXACT))
                continue
            lost.append((path or module.name, module.op))
            detail = f"{module.op} has no torch module"
            self.report.add("module", path or module.name, "not-transferable", detail, Transfer(NOT_TRANSFERABLE))
        if lost:
            path, op = lost[0]
            more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
            raise error("torch-op", where=path, found=f"{op}{more}")

    def _made(self, path: str, module: Module) -> tuple[nn.Module, Step]:
        """The torch module of a module of the config and how it is called; those of shared ones are made once."""
        if module.target is not None:
            return self.made[module.target]
        op = vocabulary.op_of(module)
        attrs = vocabulary.attrs_of(module)
        spec = Spec(path or module.name, module, op, attrs, self)
        if op.name in GRAPHS:
            made: nn.Module = self._graph(path, module)
        elif op.name == "parameter":
            made = Constant()
            spec.bind(made, "value", "value")
        else:
            made = makers()[op.name](spec)
        for role in module.params.keys() - spec.bound:
            raise error("torch-variable", where=spec.path, found=f"the role {shown(role)} of {module.op}")
        self.made[path] = (made, self._step(spec))
        return self.made[path]

    def _graph(self, path: str, module: Module) -> Graph:
        graph = Graph(module.name)
        names: dict[str, str] = {}
        steps: dict[str, Step] = {}
        for child in module.modules:
            if child.op.removeprefix(vocabulary.NAMESPACE) in _NO_MODULE:
                continue
            made, steps[child.name] = self._made(f"{path}/{child.name}" if path else child.name, child)
            names[child.name] = free_name(graph, child.name)
            graph.add_module(names[child.name], made)
        if module.graph is not None:
            fill_graph(graph, module, names, steps)
        else:
            fill_sequence(graph, module, names, steps)
        return graph

    def _step(self, spec: Spec) -> Step:
        own = _precision(spec.module)
        dtype = torch_dtype(own[1]) if self.mixed and (own != (_FLOAT32, _FLOAT32) or not untyped(spec.op)) else None
        return Step(
            op=spec.op.name,
            rule=spec.op.mask,
            trains="training" in spec.op.call or spec.op.name in GRAPHS,
            axis=spec.attrs.get("axis", -1) if spec.op.mask == "concat" else -1,
            activity=None if spec.op.name in {"mha", "gqa"} else self.penalty(spec),
            dtype=None if spec.op.name in GRAPHS else dtype,
        )

    # --- what makers ask for ------------------------------------------------------------------------------------------

    def shape(self, spec: Spec, role: str) -> tuple[int, ...]:
        """The shape of a variable."""
        return tuple(self._variable(spec, role)[1].shape)

    def child(self, spec: Spec, name: str) -> tuple[nn.Module, Step]:
        """The module of a child, and how it is called."""
        for child in spec.module.modules:
            if child.name == name:
                prefix = "" if spec.module is self.config.model else f"{spec.path}/"
                return self._made(prefix + name, child)
        raise error("torch-op", where=spec.path, found=f"{spec.module.op} without a module {name}")

    def penalty(self, spec: Spec) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """The regularizer of activity, if there is one."""
        return regularizer(spec["activity_regularizer"], spec.path)

    def tensor(self, spec: Spec, role: str, layout: Layout, module: nn.Module, attribute: str) -> None:
        """Set an attribute of a module to the tensor of a variable, the same one wherever the variable is."""
        path, variable = self._variable(spec, role)
        buffer = attribute in module._buffers  # noqa: SLF001  torch has no public way to ask
        if path not in self.tensors:
            tensor = tensor_of(layout.forward(variable.numpy(), core_shape=tuple(variable.shape)))
            trains = variable.trainable and tensor.is_floating_point()
            held = tensor if buffer else nn.Parameter(tensor, requires_grad=trains)
            self.tensors[path] = (held, layout)
            self.report.add("variable", path, "restored", "", Transfer(EXACT))
        tensor, first = self.tensors[path]
        if first != layout or isinstance(tensor, nn.Parameter) == buffer:
            raise error("torch-variable", where=path, found="a variable that two modules lay out in different ways")
        expected = getattr(module, attribute, None)
        if isinstance(expected, torch.Tensor) and expected.shape != tensor.shape:
            found = f"{list(variable.shape)} as {role} of {spec.module.op} {spec.path}"
            raise error("torch-variable", where=path, found=found)
        if buffer:
            module.register_buffer(attribute, tensor)
        else:
            module.register_parameter(attribute, tensor if isinstance(tensor, nn.Parameter) else None)
        rules = (
            regularizer(spec["regularizers"].get(role), spec.path),
            constraint(spec["constraints"].get(role), spec.path),
        )
        if any(rule is not None for rule in rules):
            add_rule(module, Rule(attribute, layout, tuple(variable.shape), *rules))

    def _variable(self, spec: Spec, role: str) -> tuple[str, Variable]:
        path = self.weights.resolve(spec.module.params[role])
        if path not in self.weights.variables:
            raise error("torch-variable", where=spec.path, found=f"no variable {shown(path)}")
        return path, self.weights.variables[path]

    def _bindings(self, root: Graph) -> list[Binding]:
        names: dict[int, list[str]] = {}
        for name, tensor in root.state_dict(keep_vars=True).items():
            names.setdefault(id(tensor), []).append(name)
        found = []
        for path, variable in self.weights.variables.items():
            if path in self.tensors:
                tensor, layout = self.tensors[path]
                every = tuple(names[id(tensor)])
                shapes = tuple(variable.shape), tuple(tensor.shape)
                found.append(Binding(path, every[0], layout, *shapes, variable.role, variable.trainable, every))
        for alias, path in self.weights.aliases.items():
            if path in self.tensors:
                self.report.add("variable", alias, "aliased", path)
        return found


class Constant(nn.Module):
    """A variable by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.value: nn.Parameter

    def forward(self) -> torch.Tensor:
        """The variable."""
        return self.value


def _precision(module: Module) -> tuple[str, str]:
    value = module.attrs.get("precision") or {}
    return value.get("variable_dtype", _FLOAT32), value.get("compute_dtype", _FLOAT32)


def _held(path: str, variable: Variable, report: Report) -> Variable:
    """A variable that no module has, in memory, so that it is there when the model's file is closed."""
    report.add("variable", path, "data-only", "no module of the model has it")
    tensor = type(variable.tensor).of(variable.numpy())
    return Variable(tensor, variable.role, variable.trainable)
