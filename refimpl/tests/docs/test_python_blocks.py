"""The blocks `python` of the pages, which show calls without their surroundings: run as they are, with these around."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import fsspec
import pytest
from hub_server import TOKEN, running
from pages import REPOSITORY, Shell, all_pages, blocks, mark

from etui.testing.servers import s3_server, web_server

pytestmark = [pytest.mark.library, pytest.mark.frameworks]

MODELS = REPOSITORY / "refimpl" / "examples" / "models"


@dataclass(frozen=True)
class Around:
    """What a page's blocks are run in.

    Attributes:
        before: code that is run first, and gives the names that the blocks use.
        after: code that is run last, and looks at what became of it.
        settings: variables of the environment.
        instead: texts of the blocks that stand for a place elsewhere, and the one on this machine.
    """

    before: str
    after: str
    settings: dict[str, str] = field(default_factory=dict)
    instead: dict[str, str] = field(default_factory=dict)


@contextmanager
def readme(_: Path) -> Iterator[Around]:
    """A model that is trained in three frameworks, and a bucket."""
    with s3_server() as server:
        before = """
            import numpy as np, keras, etui
            def net(head, name):
                inner = [keras.layers.Dense(4, name="hidden")]
                backbone = keras.Sequential([keras.Input((3,)), *inner], name="backbone")
                made = keras.Sequential([keras.Input((3,)), backbone, keras.layers.Dense(head, name=name)])
                made.compile("adam", "mse")
                made.train_on_batch(np.ones((2, 3)), np.ones((2, head)))
                return made
            model, other = net(2, "old"), net(5, "new")
            etui.keras.save(model, "run.etui")
            resumed = etui.jax.load("run.etui")
            params, state, opt_state = resumed.params, resumed.state, resumed.opt_state
            step, loss = 100, 0.25
        """
        after = """
            assert report.counts()["variable"] == {"restored": 2, "left-out": 2}, report.counts()
            assert etui.open("run.etui").optimizer.optimizers["optimizer"].step == 1
            assert [found.number for found in series] == [100]
            assert etui.verify("best.etui").identity == series.best("val_loss").identity
        """
        yield Around(before, after, {"FSSPEC_S3": json.dumps(server.options)})


@contextmanager
def hub(folder: Path) -> Iterator[Around]:
    """A stand-in for the Hub."""
    with running() as server:
        names = {"HF_ENDPOINT": server.url, "HF_TOKEN": TOKEN, "HF_HOME": str(folder / "home")}
        before = 'import etui; etui.convert("shapes.keras", "shapes.etui")'
        after = 'assert etui.verify("copy.etui").identity == etui.verify("shapes.etui").identity; assert model.weights'
        yield Around(before, after, {**names, "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"})


@contextmanager
def remote(folder: Path) -> Iterator[Around]:
    """A bucket behind an endpoint of its own, which a profile names as well, and a web server."""
    with s3_server() as bucket, web_server() as web:
        configuration = folder / "aws"
        configuration.write_text(
            f"[profile models]\nendpoint_url = {bucket.url}\nregion = us-east-1\n"
            "aws_access_key_id = a-test-key\naws_secret_access_key = a-test-secret\n"
        )
        before = """
            import etui
            etui.convert("shapes.keras", "m.etui")
            etui.save(etui.open("m.etui"), "s3://bucket/model.etui")
        """
        settings = {
            "AWS_ACCESS_KEY_ID": "a-test-key",
            "AWS_SECRET_ACCESS_KEY": "a-test-secret",
            "AWS_CONFIG_FILE": str(configuration),
            "AWS_ENDPOINT_URL": bucket.url,
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        (folder / "made").mkdir()
        code = "import etui; etui.convert('shapes.keras', 'made/m.etui')"
        subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, env=environment({}))
        web.files["m.etui"] = (folder / "made" / "m.etui").read_bytes()
        after = """
            assert etui.verify("s3://bucket/m.etui").identity == etui.verify("m.etui").identity
        """
        instead = {
            "https://minio.example.org": bucket.url,
            "https://example.org": web.url,
            '{"https": {': '{"http": {',
        }
        yield Around(before, after, settings, instead)
        fs = fsspec.filesystem("s3", **bucket.options)
        assert sorted(fs.find("bucket")) == ["bucket/m.etui", "bucket/model.etui"]
        asked = [one for one in web.take() if one.path == "/m.etui"]
        assert {one.headers.get("x-key") for one in asked} == {"…".encode().decode("latin-1")}  # as a header is read


def test_the_commands_with_urls_work(tmp_path: Path) -> None:
    """The commands on URLs, which no page can show with their output, end well on a bucket and a web server."""
    shown = blocks((REPOSITORY / "refimpl/docs/remote.md").read_text(encoding="utf-8"))
    lines = [line for block in shown if not block.language for line in block.text.splitlines() if "://" in line]
    assert len(lines) >= 3
    (tmp_path / "commands").mkdir()
    with s3_server() as bucket, web_server() as web:
        web.files["model.keras"] = (MODELS / "words.keras").read_bytes()
        shell = Shell(tmp_path / "commands")
        there = environment({"FSSPEC_S3": json.dumps(bucket.options), "PATH": shell.environment["PATH"]})
        first = [f"etui convert {MODELS}/shapes.keras s3://bucket/shapes.etui"]
        for line in [*first, *(line.replace("https://example.org", web.url) for line in lines)]:
            done = subprocess.run(["bash", "-c", line], env=there, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert any(one.path == "/model.keras" for one in web.take())


PAGES: dict[str, Callable[[Path], object]] = {
    "README.md": readme,
    "refimpl/docs/hub.md": hub,
    "refimpl/docs/remote.md": remote,
}


def environment(settings: dict[str, str]) -> dict[str, str]:
    """Of a process that imports this checkout's Etui, and where frameworks keep quiet."""
    quiet = {"KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **quiet, "PYTHONPATH": str(REPOSITORY / "refimpl"), **settings}


def bare(page: Path) -> list[str]:
    """The blocks `python` of a page that show no script."""
    found = blocks(page.read_text(encoding="utf-8"))
    return [block.text for block in found if block.language == "python" and not block.title]


def test_every_page_with_such_blocks_is_here() -> None:
    """No page shows Python that is no script, not typed at a prompt, and not run below or by a test that it names."""
    found = {page.relative_to(REPOSITORY).as_posix(): page for page in all_pages() if bare(page)}
    assert set(PAGES) <= set(found)
    others = [page for name, page in found.items() if name not in PAGES]
    assert [page for page in others if not mark(page.read_text(encoding="utf-8")).test] == []


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_calls_of_a_page_do_what_it_says(name: str, tmp_path: Path) -> None:
    """The blocks of a page run one after the other, in one process, and give what the text around them says."""
    for model in MODELS.glob("*.keras"):
        shutil.copy(model, tmp_path)
    shown = bare(REPOSITORY / name)
    assert shown
    with ExitStack() as stack:
        around: Around = stack.enter_context(PAGES[name](tmp_path))  # type: ignore[arg-type]
        code = "\n".join([textwrap.dedent(around.before), *shown, textwrap.dedent(around.after), 'print("done")'])
        for there, here in around.instead.items():
            assert there in code
            code = code.replace(there, here)
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=environment(around.settings),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["done"]), done.stderr[-3000:]
