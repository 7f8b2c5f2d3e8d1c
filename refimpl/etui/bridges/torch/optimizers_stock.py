"""What torch's own optimizers say of the core rules: class, arguments and state (SPEC.md, annex M.4).

`plan` maps the hyperparameters of a core rule to a class of `torch.optim`; the same plan takes state in both
directions. A plan without hooks whose every slot is exact is the same rule in other words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from etui.bridges.torch import optimizers_hooks as hooks
from etui.transfer import APPROXIMATE, EXACT, REPARAMETRISED, Transfer

Values = Mapping[str, Any]
Move = Callable[[Any, Values], Any]
ADAFACTOR_BOUND = 1e-7  # measured by refimpl/benchmarks/resume.py: below it in float64


def _same(value: Any, _: Values) -> Any:
    return value


_EXACT = Transfer(EXACT)


@dataclass(frozen=True, slots=True)
class SlotMap:
    """A slot of the vocabulary and the state of torch that is it.

    Attributes:
        core, torch: their names.
        transfer: how faithful it is.
        forward, backward: the numbers of the one from those of the other, given the hyperparameters with `lr`.
    """

    core: str
    torch: str
    transfer: Transfer = _EXACT
    forward: Move = _same
    backward: Move = _same

    @property
    def same(self) -> bool:
        """Whether the numbers are torch's own."""
        return self.backward is _same


@dataclass(slots=True)
class Plan:
    """An optimizer of torch that stands for a core rule.

    Attributes:
        kind: name of its class in `torch.optim`.
        options: arguments of a group, `lr` left out.
        slots: its state.
        before: hooks to call before each step.
        extra: values that hooks need in a group.
        lost: hyperparameter -> why the class does not have it.
    """

    kind: str
    options: dict[str, Any]
    slots: list[SlotMap] = field(default_factory=list)
    before: list[hooks.Hook] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)

    @property
    def native(self) -> bool:
        """Whether the class states the rule by itself."""
        return not (self.before or self.lost) and all(slot.transfer.kind == EXACT for slot in self.slots)


def plan(algorithm: str, values: Values) -> Plan | None:
    """The optimizer of torch for a core rule, or `None` where torch has none.

    Args:
        algorithm: name of the rule, without its namespace.
        values: every hyperparameter by the vocabulary's names.
    """
    maker = _PLANS.get(algorithm)
    if maker is None:
        return None
    found = maker(values)
    _common(found, values)
    return found


_UNSTATED = {
    "clip_value": None,
    "clip_norm": None,
    "clip_global_norm": None,
    "accumulation_steps": 1,
    "ema_momentum": None,
    "loss_scale": None,
}
# Classes in which decay is not part of the gradient, and how they say so.
_DECOUPLED: dict[str, tuple[str, dict[str, Any]]] = {
    "Adam": ("AdamW", {}),
    "NAdam": ("NAdam", {"decoupled_weight_decay": True}),
    "Adafactor": ("Adafactor", {}),
}


def _common(found: Plan, values: Values) -> None:
    for name, none in _UNSTATED.items():
        if values[name] != none:
            found.lost[name] = "an optimizer of torch does not do this itself"
    if values["maximize"]:
        found.options["maximize"] = True
    decay = values["weight_decay"]
    found.options["weight_decay"] = decay if values["decay_mode"] == "coupled" else 0.0
    if found.kind == "Adafactor" and decay and values["decay_mode"] == "coupled":
        found.options["weight_decay"] = 0.0
        found.lost["decay_mode"] = "torch's class decays apart from the gradient"
    if decay and values["decay_mode"] == "decoupled":
        if found.kind in _DECOUPLED:
            found.kind, options = _DECOUPLED[found.kind]
            found.options |= {"weight_decay": decay, **options}
        else:
            found.before.insert(0, hooks.decay_first)
            found.extra[hooks.DECAY] = decay


def _sgd(values: Values) -> Plan:
    options = {"momentum": values["momentum"], "nesterov": values["nesterov"], "dampening": 0.0}
    if not values["momentum"]:
        return Plan("SGD", options | {"nesterov": False})
    if values["momentum_form"] == "buffer":
        return Plan("SGD", options | {"dampening": values["dampening"]}, [SlotMap("momentum", "momentum_buffer")])
    formula = "momentum_buffer = -momentum / learning_rate, scaled anew when the rate changes"
    slot = SlotMap(
        "momentum",
        "momentum_buffer",
        Transfer(REPARAMETRISED, formula),
        lambda velocity, scalars: velocity / -scalars[hooks.RATE],
        lambda buffer, scalars: buffer * -scalars[hooks.RATE],
    )
    return Plan("SGD", options, [slot], [hooks.rescale_buffers], {hooks.RATE: None})


def _adam(values: Values) -> Plan:
    options = {
        "betas": (values["beta_1"], values["beta_2"]),
        "eps": values["epsilon"],
        "amsgrad": values["amsgrad"],
    }
    transfer, before, extra = _epsilon(values)
    names = {"momentum": "exp_avg", "velocity": "exp_avg_sq"}
    names |= {"velocity_hat": "max_exp_avg_sq"} if values["amsgrad"] else {}
    # Only the update reads epsilon: the slots are the same numbers, but stand for another rule without the hook.
    slots = [SlotMap(core, name, transfer) for core, name in names.items()]
    found = Plan("Adam", options, slots, before, extra)
    if values["epsilon_root"]:
        found.lost["epsilon_root"] = "torch adds nothing below the root"
    if values["amsgrad"] and values["amsgrad_max_of"] == "corrected":
        found.lost["amsgrad_max_of"] = "torch takes the maximum of the averages as they are"
    return found


def _epsilon(values: Values) -> tuple[Transfer, list[hooks.Hook], dict[str, Any]]:
    if values["epsilon_mode"] == "corrected":
        return Transfer(EXACT), [], {}
    formula = "eps = epsilon / sqrt(1 - beta_2^t), set before each step"
    return Transfer(REPARAMETRISED, formula), [hooks.drive_epsilon], {hooks.EPSILON: values["epsilon"]}


def _nadam(values: Values) -> Plan:
    options = {
        "betas": (values["beta_1"], values["beta_2"]),
        "eps": values["epsilon"],
        "momentum_decay": values["schedule_decay"],
    }
    transfer, before, extra = _epsilon(values)
    slots = [SlotMap("momentum", "exp_avg", transfer), SlotMap("velocity", "exp_avg_sq", transfer)]
    found = Plan("NAdam", options, slots, before, extra)
    if values["schedule_base"] != 0.96:
        found.lost["schedule_base"] = "torch's base is 0.96"
    return found


def _shifted(core: str, name: str, formula: str) -> SlotMap:
    return SlotMap(
        core,
        name,
        Transfer(REPARAMETRISED, formula),
        lambda value, scalars: value + scalars[hooks.SHIFT],
        lambda value, scalars: value - scalars[hooks.SHIFT],
    )


def _rmsprop(values: Values) -> Plan:
    options = {"alpha": values["rho"], "eps": values["epsilon"], "momentum": values["momentum"]}
    found = Plan("RMSprop", options | {"centered": values["centered"]})
    if values["epsilon_mode"] == "outside":
        found.slots.append(SlotMap("velocity", "square_avg"))
    else:
        found.options["eps"] = 0.0
        found.slots.append(_shifted("velocity", "square_avg", "square_avg = velocity + epsilon and eps = 0"))
        found.before.append(hooks.shift_squares)
        found.extra[hooks.SHIFT] = values["epsilon"]
    if values["centered"]:
        found.slots.append(SlotMap("average_gradient", "grad_avg"))
    if values["momentum"] and values["momentum_form"] == "buffer":
        found.slots.append(SlotMap("momentum", "momentum_buffer"))
    elif values["momentum"]:
        formula = "momentum_buffer = momentum / learning_rate, scaled anew when the rate changes"
        slot = SlotMap(
            "momentum",
            "momentum_buffer",
            Transfer(REPARAMETRISED, formula),
            lambda buffer, scalars: buffer / scalars[hooks.RATE],
            lambda buffer, scalars: buffer * scalars[hooks.RATE],
        )
        found.slots.append(slot)
        found.before.append(hooks.rescale_buffers)
        found.extra[hooks.RATE] = None
    return found


def _adagrad(values: Values) -> Plan:
    begin = values["initial_accumulator"]
    options = {"lr_decay": values["rate_decay"], "eps": values["epsilon"], "initial_accumulator_value": begin}
    if values["epsilon_mode"] == "outside":
        return Plan("Adagrad", options, [SlotMap("accumulator", "sum")])
    options |= {"eps": 0.0, "initial_accumulator_value": begin + values["epsilon"]}
    slot = _shifted("accumulator", "sum", "sum = accumulator + epsilon and eps = 0")
    return Plan("Adagrad", options, [slot], extra={hooks.SHIFT: values["epsilon"]})


def _adadelta(values: Values) -> Plan:
    slots = [SlotMap("accumulated_grad", "square_avg"), SlotMap("accumulated_delta_var", "acc_delta")]
    return Plan("Adadelta", {"rho": values["rho"], "eps": values["epsilon"]}, slots)


def _adamax(values: Values) -> Plan:
    options = {"betas": (values["beta_1"], values["beta_2"]), "eps": values["epsilon"]}
    average = SlotMap("momentum", "exp_avg")
    if values["epsilon_mode"] == "in_max":
        return Plan("Adamax", options, [average, SlotMap("norm", "exp_inf")])
    norm = _shifted("norm", "exp_inf", "exp_inf = norm + epsilon, held up before each step")
    return Plan("Adamax", options, [average, norm], [hooks.shift_norms], {hooks.SHIFT: values["epsilon"]})


def _adafactor(values: Values) -> Plan:
    options = {
        "beta2_decay": values["beta_2_decay"],
        "eps": (values["epsilon_1"] ** 0.5, values["epsilon_2"]),
        "d": values["clip_threshold"],
    }
    formula = "epsilon_1 is a floor in torch and a summand in the vocabulary; rows and columns as the layout has them"
    transfer = Transfer(APPROXIMATE, formula, ADAFACTOR_BOUND)
    names = {"r": "row_var", "c": "col_var", "v": "variance"}
    found = Plan("Adafactor", options, [SlotMap(core, name, transfer) for core, name in names.items()])
    if not values["relative_step"]:
        found.lost["relative_step"] = "torch bounds the rate by 1 / sqrt(t)"
    return found


_PLANS: Mapping[str, Callable[[Values], Plan]] = {
    "sgd": _sgd,
    "adam": _adam,
    "nadam": _nadam,
    "rmsprop": _rmsprop,
    "adagrad": _adagrad,
    "adadelta": _adadelta,
    "adamax": _adamax,
    "adafactor": _adafactor,
}
