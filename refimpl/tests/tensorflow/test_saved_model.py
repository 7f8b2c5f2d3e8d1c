"""SavedModels, read without a framework (SPEC.md, annex G)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import etui
from etui import bridges
from etui.bridges.tensorflow.saved_model import bridge as saved_model
from etui.bridges.tensorflow.saved_model.schema import SAVED_MODEL
from etui.limits import DEFAULT_LIMITS
from etui.model import Model
from etui.report import Report
from etui.storage.protobuf import encode
from etui.testing.saved_models import Maker, Node, message, module, user, variable

pytest.importorskip("google_crc32c")


def read(folder: Path, report: Report | None = None, *, native: bool = True) -> Model:
    return saved_model.read(folder, Report() if report is None else report, limits=DEFAULT_LIMITS, native=native)


def write(model: Model, folder: Path, report: Report | None = None, *, strict: bool = True) -> Path:
    saved_model.write(model, folder, Report() if report is None else report, strict=strict)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def refused(maker: Maker, folder: Path) -> str:
    with pytest.raises(etui.RejectError) as refusal:
        read(maker.write(folder)).close()
    return refusal.value.code


@pytest.mark.clause("KS-1@c4f09f")
def test_a_folder_with_a_graph_file_is_taken_as_a_saved_model(tmp_path: Path) -> None:
    """The bridge is found by the file, and a folder without it is of another kind."""
    found = bridges.recognise(module().write(tmp_path / "m"))
    assert found is not None
    assert found.name == "tf-savedmodel"
    (tmp_path / "n").mkdir()
    assert not saved_model.recognises(tmp_path / "n")


class TestGraphs:
    """MetaGraphs and objects."""

    @pytest.mark.clause("KS-2@56da28")
    def test_the_graph_to_serve_is_read_and_another_named(self, tmp_path: Path) -> None:
        """Of two graphs the one with the tag is taken; a single one needs no tag."""
        maker = module()
        maker.tags = [["train"], ["serve", "gpu"]]
        report = Report()
        read(maker.write(tmp_path / "two"), report).close()
        assert [one.status for one in report.entries if "train" in one.subject] == ["data-only"]
        maker.tags = [["odd"]]
        with read(maker.write(tmp_path / "one")) as model:
            assert model.weights is not None
            assert list(model.weights) == ["w", "parts/b"]

    @pytest.mark.clause("KS-2@56da28")
    @pytest.mark.parametrize("tags", [[], [["a"], ["b"]], [["serve"], ["serve", "x"]]])
    def test_no_graph_or_several_to_choose_from_are_refused(self, tmp_path: Path, tags: list[list[str]]) -> None:
        """There must be one that serves, or just one."""
        maker = module()
        maker.tags = tags
        assert refused(maker, tmp_path / "m") == "savedmodel-graph"

    @pytest.mark.clause("KS-2@56da28")
    @pytest.mark.parametrize(
        "change",
        [
            lambda maker: maker.nodes.clear(),
            lambda maker: maker.nodes[0].children.update(x=6),
            lambda maker: maker.nodes[0].children.update(x=-1),
            lambda maker: maker.nodes[0].slots.append((0, "m", 99)),
            lambda maker: maker.nodes[0].slots.append((2**31 - 1, "m", 2)),
        ],
    )
    def test_objects_that_are_not_there_are_refused(self, tmp_path: Path, change: Callable[[Maker], None]) -> None:
        """A reference must lead to an object of the graph, which has a root."""
        maker = module()
        change(maker)
        data = maker.main()
        folder = module().write(tmp_path / "m")
        (folder / "saved_model.pb").write_bytes(data)
        with pytest.raises(etui.RejectError) as refusal:
            read(folder)
        assert refusal.value.code == "savedmodel-graph"

    @pytest.mark.clause("KS-2@56da28")
    def test_two_children_of_one_name_are_refused(self, tmp_path: Path) -> None:
        """A name leads to one object."""
        folder = module().write(tmp_path / "m")
        data = (folder / "saved_model.pb").read_bytes()
        assert data.count(b"\x12\x05parts") == 1
        changed = data.replace(b"\x12\x05parts", b"\x12\x05table")
        (folder / "saved_model.pb").write_bytes(changed)
        with pytest.raises(etui.InvalidError) as refusal:
            read(folder)
        assert refusal.value.code == "savedmodel-graph"

    @pytest.mark.clause("KS-3@a04b13")
    def test_variables_are_found_by_names_and_not_by_keys(self, tmp_path: Path) -> None:
        """Keys that say something else, and a cycle of objects, change nothing."""
        maker = module()
        maker.keys = {2: "parts/b/.ATTRIBUTES/VARIABLE_VALUE", 3: "w/.ATTRIBUTES/VARIABLE_VALUE"}
        maker.nodes[1].children["up"] = 0
        with read(maker.write(tmp_path / "m")) as model:
            assert model.weights is not None
            assert model.weights["w"].shape == (2, 2)
            assert not model.weights["parts/b"].numpy().any()

    @pytest.mark.clause("KS-4@df9200")
    @pytest.mark.parametrize("fault", ["shape", "key", "rank"])
    def test_variables_that_do_not_fit_their_objects_are_refused(self, tmp_path: Path, fault: str) -> None:
        """The bundle has each object's key, with the object's shape."""
        maker = module()
        folder = maker.write(tmp_path / "m")
        if fault == "key":
            graph = (folder / "variables" / "variables.data-00000-of-00001").read_bytes()
            assert b"node/2/" in graph
            other = Maker([replace(node) for node in maker.nodes], assets=maker.assets)
            other.nodes[2] = Node(other.nodes[2].content)
            lacking = other.write(tmp_path / "lacking")
            entry = {2: "node/9/.ATTRIBUTES/VARIABLE_VALUE"}
            named = Maker(maker.nodes, assets=maker.assets, keys=entry).write(tmp_path / "named")
            _mix(lacking, named)
            folder = lacking
        else:
            size = [{"size": 3}, {"size": 2}] if fault == "shape" else [{"size": 4}]
            maker.nodes[2].content["variable"]["shape"] = {"dim": size}
            (folder / "saved_model.pb").write_bytes(maker.main())
        with pytest.raises(etui.InvalidError) as refusal:
            read(folder)
        assert refusal.value.code == "savedmodel-variables"

    @pytest.mark.clause("KS-4@df9200")
    def test_a_size_that_is_not_fixed_fits_any(self, tmp_path: Path) -> None:
        """A dimension of -1, or an unknown rank, is no other shape."""
        maker = module()
        maker.nodes[2].content["variable"]["shape"] = {"dim": [{"size": -1}, {"size": 2}]}
        maker.nodes[3].content["variable"]["shape"] = {"unknown_rank": True}
        with read(maker.write(tmp_path / "m")) as model:
            assert model.weights is not None
            assert model.weights["w"].shape == (2, 2)


def _mix(folder: Path, other: Path) -> None:
    """Give a folder's bundle the object graph of another's."""
    from etui.bridges.tensorflow.arrays import outgoing, tensor_of
    from etui.bridges.tensorflow.object_graph import KEY
    from etui.storage.tf_bundle import open_bundle
    from etui.storage.tf_bundle_writer import write_bundle

    with open_bundle(folder / "variables" / "variables") as one, open_bundle(other / "variables" / "variables") as two:
        tensors = {name: one.tensors[name] for name in one.tensors} | {KEY: two.tensors[KEY]}
        made = [outgoing(name, tensor_of(tensor)) for name, tensor in tensors.items()]
        write_bundle(folder / "variables" / "variables", made)


class TestAssets:
    """Files that the graphs read."""

    @pytest.mark.clause("KS-6@307d8d")
    def test_assets_are_kept_under_their_escaped_names(self, tmp_path: Path) -> None:
        """Every file below the folder is a part, whether a graph names it or not."""
        maker = module()
        maker.assets |= {"assets/sub/é.txt": b"x"}
        maker.asset_names = ["words.txt"]
        with read(maker.write(tmp_path / "m")) as model:
            assert {name: blob.read() for name, blob in model.assets.items()} == {
                "assets/words.txt": b"a\nb\n",
                "assets/sub/%C3%A9.txt": b"x",
            }

    @pytest.mark.clause("KS-5@eee191")
    @pytest.mark.parametrize("name", ["../saved_model.pb", "/etc/passwd", "other.txt", "", "sub/../words.txt"])
    def test_assets_outside_of_the_folder_are_refused(self, tmp_path: Path, name: str) -> None:
        """A graph's asset is one of the files that are there, and no path is made of its name."""
        maker = module()
        maker.asset_names = [name]
        assert refused(maker, tmp_path / "m") == "savedmodel-asset"


class TestOthers:
    """SavedModels without the metadata of Keras."""

    @pytest.mark.clause("KS-14@132d9c")
    def test_variables_have_the_shortest_way_as_path_and_the_report_says_what_is_missing(self, tmp_path: Path) -> None:
        """No config is made up; a second way to a variable is not another variable."""
        report = Report()
        with read(module().write(tmp_path / "m"), report) as model:
            assert model.config is None
            assert model.weights is not None
            assert {path: one.trainable for path, one in model.weights.variables.items()} == {
                "w": True,
                "parts/b": False,
            }
        said = [one.detail for one in report.entries if one.subject == "config.json"]
        assert len(said) == 1
        assert "no topology" in said[0]

    @pytest.mark.clause("KS-15@299228")
    def test_variables_that_keras_3_exported_twice_are_one(self, tmp_path: Path) -> None:
        """By name and bits; one of the same name with other bits stays another."""
        kernel = np.ones((2, 2), "float32")
        nodes = [
            user(variables=1, _all_variables=2),
            Node({"user_object": {"identifier": "trackable_list_wrapper"}}, {"0": 3, "1": 5}),
            Node({"user_object": {"identifier": "trackable_list_wrapper"}}, {"0": 4, "1": 6}),
            *(variable(kernel, "m/d/kernel") for _ in range(2)),
            variable(kernel, "m/d/bias"),
            variable(kernel * 2, "m/d/bias"),
        ]
        folder = Maker(nodes).write(tmp_path / "m")
        with read(folder) as model:
            assert model.weights is not None
            assert list(model.weights) == ["m/d/kernel", "m/d/bias", "m/d/bias_1"]
            model.weights.variables["m/d/kernel"].tensor = etui.Tensor.of(kernel * 3)
            write(model, tmp_path / "n")
        with read(tmp_path / "n") as model:
            assert model.weights is not None
            assert (model.weights["m/d/kernel"].numpy() == 3).all()
            assert len(model.weights) == 3

    @pytest.mark.clause("KS-16@e5ce9b")
    def test_variables_without_objects_have_their_names(self, tmp_path: Path) -> None:
        """TensorFlow 1 wrote names; what it names stays so on the way back."""
        from etui.bridges.tensorflow.arrays import outgoing
        from etui.storage.tf_bundle_writer import write_bundle

        folder = tmp_path / "m"
        folder.mkdir()
        graph = {"meta_info_def": {"tags": ["serve"]}, "graph_def": b""}
        (folder / "saved_model.pb").write_bytes(encode(message(SAVED_MODEL, {"meta_graphs": [graph]})))
        write_bundle(folder / "variables" / "variables", [outgoing("scope/w", etui.Tensor.of(np.ones(2, "float32")))])
        with read(folder) as model:
            assert model.weights is not None
            assert list(model.weights) == ["scope/w"]
            write(model, tmp_path / "n")
        assert files(tmp_path / "n") == files(folder)
