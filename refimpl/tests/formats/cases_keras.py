"""The models of Keras 3: a choice from the corpus of the `.keras` tests, one or more of every family."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

NAMES = (
    "sequential_with_input",
    "sequential_without_input",
    "sequential_nested",
    "functional_lists",
    "functional_dicts",
    "functional_shared_layer",
    "functional_nested_models",
    "functional_nested_shared_twice",
    "frozen_part_of_nested_model",
    "merge_layers",
    "never_compiled",
    "cnn_with_batch_norm",
    "convolutions_in_one_dimension",
    "convolutions_in_two_dimensions",
    "normalizations",
    "activation_layers",
    "regularizers_and_constraints",
    "attention_kinds",
    "transformer_encoder",
    "transformer_decoder_tied_embedding",
    "einsum_dense",
    "bidirectional",
    "rnn_of_cells",
    "lstm_stacked",
    "gru_reset_before_without_bias",
    "conv_lstm",
    "time_distributed_model",
    "operators",
    "string_lookup",
    "integer_lookup",
    "numeric_features",
    "mixed_float16",
    "mixed_bfloat16",
    "compiled_with_dicts",
    "metrics_for_numbers",
    "custom_layers",
    "custom_functions",
    "custom_loss_optimizer_and_schedule",
    "subclassed_with_tied_table",
    "optimizer_adamax",
    "optimizer_loss_scale",
    "optimizer_with_everything",
    "schedule_cosine",
)


def cases() -> dict[str, Callable[[], Any]]:
    """The chosen cases; importing the corpus registers its classes with Keras."""
    found = import_module("corpus").CASES
    return {name: found[name].build for name in NAMES}
