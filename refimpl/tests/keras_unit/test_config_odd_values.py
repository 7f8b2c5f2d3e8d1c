"""Values in a config that are of a type that nobody writes there."""

from __future__ import annotations

from typing import Any

import pytest

from etui.errors import EtuiError


@pytest.mark.clause("K-3@83a649", "E-2@310409")
@pytest.mark.parametrize("name", [{"a": 1}, ["a"], 3, None])
def test_a_layer_of_a_graph_whose_name_is_no_text_is_refused(kit: Any, name: Any) -> None:
    """The name under which calls refer to a layer is a text, or the config is refused."""
    layers = [kit.called(kit.input("x", 4)), kit.called(kit.layer("Dense", "y", units=4), [kit.tensor("x")])]
    layers[1]["name"] = name
    with pytest.raises(EtuiError) as refused:
        kit.model(kit.functional(layers, ["x", 0, 0], ["y", 0, 0]))
    assert refused.value.code == "keras-config"


@pytest.mark.clause("K-11@58d76f")
@pytest.mark.parametrize("items", [3, None, {"a": 1}, "ab"])
def test_a_tuple_whose_items_are_no_list_stays_a_map(kit: Any, items: Any) -> None:
    """An encoding whose content no tuple has is kept as the map that it is."""
    odd = {"class_name": "__tuple__", "items": items}
    model = kit.round_trip(kit.sequential([kit.input("start", 4), kit.layer("Dense", "head", units=3, gain=odd)]))
    assert model.config.find("head").attrs["gain"] == odd
