"""What the viewer shows beside graph and tensors: training, provenance, the report, search, help, colours."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import etui
from etui.testing.samples import everything

Page = Any
pytestmark = [pytest.mark.library, pytest.mark.browser]
TEMPLATE = Path(__file__).parents[2] / "etui" / "viewing" / "page.html"


def test_the_facts_of_a_model_stand_above_it(look: Callable[..., Page]) -> None:
    """Parameters, size, dtype, optimizer and identity are told on every tab."""
    page = look("trained", tab="provenance")
    rows = page.locator(".facts > div").all_inner_texts()
    facts = dict(row.split("\n", 1) for row in rows)
    assert facts["Parameters"] == "40"
    assert facts["Weights"] == "160 B"
    assert facts["Optimizer"] == "Adam, step 10"
    assert facts["Profile"] == "training"
    assert facts["Identity"].startswith("sha256:")


def test_the_training_is_told(look: Callable[..., Page]) -> None:
    """Loss, metrics, precision, each optimizer with its schedule and slots, and the state of the run are shown."""
    page = look("everything", tab="training")
    found = page.inner_text(".page")
    for text in (
        "Huber",
        "mixed_bfloat16",
        "LossScaleOptimizer",
        "optimizer/inner",
        "ExponentialDecay",
        "Gradients seen\n240",
        "Completed steps\n120",
        "momentum",
        "epoch",
        "SeedGenerator",
        "mae",
    ):
        assert text in found
    page.click("text=product")
    page.wait_for_selector("#tab-tensors[aria-selected=true]")
    assert page.inner_text(".details h2") == "product"


def test_the_provenance_is_told(look: Callable[..., Page], models: dict[str, Path]) -> None:
    """Identity, form, parts with their digests, native documents and whether they are in force, metadata, programs."""
    page = look("everything", tab="provenance")
    found = page.inner_text(".page")
    with etui.open(models["everything"]) as model:
        identity = model.digest
    for text in (
        str(identity),
        "packed, one file",
        "training",
        "author",
        "a test",
        "native/keras/config.json",
        "keras 3.15.1",
        "programs/forward/main.onnx",
        "assets/vocabulary.txt",
        "weights.safetensors",
        f"etui {etui.__version__}",
    ):
        assert text in found
    states = page.locator(".list-table tr:has-text('native/keras') .tag").all_inner_texts()
    assert states == ["in force", "stale"]


def test_the_report_of_a_conversion_is_shown(page: Page, tmp_path: Path) -> None:
    """A model from another format comes with what became of each item, which can be filtered by how it fared."""
    from etui.testing.view_models import trained

    report = etui.Report("model.keras", "model.etui")
    report.add("variable", "dense/kernel", "restored")
    report.add("slot", "dense/kernel momentum", "not-transferable", "the target has no moments")
    report.add("document", "config.json", "stale")
    parts: dict[str, bytes] = {}
    etui.save(trained(0), parts)
    page.goto(_page_of(parts, report.as_json(), tmp_path))
    page.click("#tab-report")
    rows = [row.split("\n") for row in page.locator(".grid .row").all_inner_texts()]
    assert [" ".join(row).replace("/ ", "/") for row in rows] == [
        "dense/kernel variable restored",
        "dense/kernel momentum slot not-transferable the target has no moments",
        "config.json document stale",
    ]
    assert page.inner_text(".table-bar .tag") == "Something was not carried over"
    page.click("button:has-text('not-transferable')")
    assert page.locator(".grid .row").count() == 1


def _page_of(parts: dict[str, bytes], report: object, folder: Path) -> str:
    """A page whose payload is made by hand, for what needs no conversion."""
    from etui.viewing.page import page_of

    with etui.open(parts) as model:
        identity = model.digest
    documents = {name: base64.b64encode(data).decode() for name, data in parts.items() if not name.endswith("tensors")}
    artifact = {
        "name": "model.keras",
        "source_format": "keras",
        "report": report,
        "identity": identity,
        "form": None,
        "parts": documents,
        "statistics": None,
    }
    payload = {"format": "etui-view", "version": "1.0", "created_by": "a test", "artifacts": [artifact]}
    path = folder / "page.html"
    path.write_text(page_of(payload), encoding="utf-8")
    return path.as_uri()


def test_a_page_that_holds_another_model_than_it_says_is_refused(page: Page, tmp_path: Path) -> None:
    """The identity that the page names is compared with that of the documents in it."""
    from etui.testing.view_models import weights_only

    parts: dict[str, bytes] = {}
    etui.save(weights_only(), parts)
    with etui.open(parts) as model:
        identity = str(model.digest)
    address = _page_of(parts, None, tmp_path)
    path = tmp_path / "page.html"
    other = "sha256:" + "0" * 64
    path.write_text(path.read_text(encoding="utf-8").replace(f'"identity":"{identity}"', f'"identity":"{other}"'))
    page.goto(address)
    assert f"says that it holds {other}" in page.inner_text(".problem")


def test_search_finds_modules_and_tensors(look: Callable[..., Page]) -> None:
    """Words of a path, an op or a dtype find what has them all; Enter goes there."""
    page = look("trained")
    page.fill("[role=combobox]", "encoder relu")
    assert "Nothing has that name." in page.inner_text("#hits")
    page.fill("[role=combobox]", "expand dense")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-node='encoder/expand'].selected")
    page.fill("[role=combobox]", "expand bias")
    page.keyboard.press("Enter")
    page.wait_for_selector(".details h2:has-text('bias')")
    assert page.inner_text(".details .path") == "encoder/expand/bias"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_and_the_switch(
    until: Callable[[Page, str], None], new_page: Callable[..., Page], view: Callable[..., str], scheme: str
) -> None:
    """The page begins in the system's colours, and keeps the others once they are chosen."""
    page = new_page(color_scheme=scheme)
    page.goto(view("trained"))
    page.wait_for_selector(".node")
    lightness = "parseFloat(getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/)[0])"
    first = page.evaluate(lightness)
    page.click("[aria-label^='Switch to']")
    other = {"light": "dark", "dark": "light"}[scheme]
    until(page, f"document.documentElement.dataset.theme === '{other}'")
    second = page.evaluate(lightness)
    assert (first > second) == (scheme == "light")
    page.reload()
    page.wait_for_selector(".node")
    assert page.evaluate("document.documentElement.dataset.theme") == other


def test_an_embedded_model_is_verified_as_far_as_it_is_there(look: Callable[..., Page]) -> None:
    """The page says that its documents are right, and that the data is needed to check every byte."""
    page = look("everything", tab="provenance")
    page.click(".panel button:has-text('Verify')")
    assert page.inner_text(".panel [role=status] .tag") == "documents verified"


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "is not what etui view writes"),
        ('{"format":"etui-view","version":"2.0","artifacts":[]}', "a view of version 2.0"),
        ('{"format":"etui-view","version":"1.0","artifacts":[]}', "lacks its parts"),
        ('{"format":"etui-view","version":"1.0","artifacts":[{"name":"m","parts":{}}]}', "manifest.json"),
        (
            '{"format":"etui-view","version":"1.0","artifacts":[{"name":"m","parts":{"manifest.json":"e30="}}]}',
            "manifest",
        ),
    ],
)
def test_a_broken_page_says_what_is_wrong(page: Page, tmp_path: Path, payload: str, said: str) -> None:
    """A payload that cannot be read is told, and another file can be opened in its place."""
    script = f'<script type="application/json" id="etui-payload">{payload}</script>'
    path = tmp_path / "broken.html"
    path.write_text(TEMPLATE.read_text(encoding="utf-8").replace("<!--etui-payload-->", script), encoding="utf-8")
    page.goto(path.as_uri())
    assert said in page.inner_text(".problem")
    assert page.locator(".problem button").count() == 2


def test_the_policy_of_the_page_lets_only_its_own_script_run() -> None:
    """Its one script and its one style are named by their digests; nothing else may run, load or be sent."""
    text = TEMPLATE.read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert [len(scripts), len(styles)] == [1, 1]
    for rule, content in (("script-src", scripts[0]), ("style-src", styles[0])):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"


def test_everything_model_is_what_the_tests_believe() -> None:
    """The sample that the tests look at has every container, so that none of them looks at nothing."""
    model = everything()
    assert all(
        (model.config, model.weights, model.training, model.optimizer, model.state, model.native, model.programs)
    )
