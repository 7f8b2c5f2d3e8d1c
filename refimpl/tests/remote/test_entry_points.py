"""A URL is taken wherever a path is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import fsspec
import numpy as np
import pytest
from fsspec.config import conf

import etui
from etui import signing
from etui.cli import main
from etui.errors import EtuiError
from etui.model import Model
from etui.storage.urls import is_url, local, protocol, storage_options
from etui.testing.equality import same
from etui.testing.samples import everything
from etui.testing.servers import S3, Web

Build = Callable[..., Model]


def put(url: str, data: bytes) -> None:
    fs, path = fsspec.core.url_to_fs(url)
    fs.pipe_file(path, data)


@pytest.mark.library
@pytest.mark.parametrize("form", ["model.etui", "model/"])
@pytest.mark.parametrize("base", ["memory://run", "s3://bucket"])
def test_an_artifact_goes_there_and_back(memory: str, s3: S3, tmp_path: Path, base: str, form: str) -> None:
    """Conversions to a URL, between URLs and from one keep the identity."""
    identity = etui.save(everything(), tmp_path / "model.etui")
    assert etui.convert(tmp_path / "model.etui", f"{base}/a/{form}").ok
    assert etui.convert(f"{base}/a/{form}", f"{base}/b/{form}").ok
    assert etui.convert(f"{base}/b/{form}", tmp_path / "back.etui").ok
    assert etui.verify(tmp_path / "back.etui").identity == identity
    found = etui.diff(f"{base}/b/{form}", tmp_path / "model.etui")
    assert found.identical


@pytest.mark.library
def test_a_model_may_be_saved_where_it_was_opened(memory: str, build: Build) -> None:
    """The packed file behind a URL is replaced by one that was made of it."""
    url = f"{memory}/model.etui"
    etui.save(build(30, 1000), url)
    with etui.open(url) as opened:
        opened.metadata["note"] = "changed"
        etui.save(opened, url)
    with etui.open(url) as opened:
        assert opened.metadata == {"note": "changed"}
        assert opened.weights is not None
        assert len(opened.weights) == 30


@pytest.mark.library
def test_other_formats_are_copied_to_be_read_and_sent_when_whole(
    s3: S3, web: Web, tmp_path: Path, build: Build
) -> None:
    """A file of another format is converted from and to a URL; what is there is replaced if it is of the format."""
    etui.save(build(3, 1000), tmp_path / "model.etui")
    etui.convert(tmp_path / "model.etui", tmp_path / "weights.safetensors", strict=False)
    data = web.files["weights.safetensors"] = (tmp_path / "weights.safetensors").read_bytes()
    steps: list[tuple[str, int, int]] = []
    etui.convert(f"{web.url}/weights.safetensors", "s3://bucket/x.etui", progress=lambda *step: steps.append(step))
    assert ("weights.safetensors", len(data), len(data)) in steps
    with etui.open("s3://bucket/x.etui") as opened:
        assert opened.weights is not None
        assert len(opened.weights) == 3
    for _ in range(2):
        etui.convert("s3://bucket/x.etui", "s3://bucket/weights.safetensors")
        assert fsspec.filesystem("s3").cat_file("bucket/weights.safetensors") == data
    put("s3://bucket/weights.safetensors", b"something else that is not of the format")
    with pytest.raises(EtuiError) as refusal:
        etui.convert("s3://bucket/x.etui", "s3://bucket/weights.safetensors")
    assert refusal.value.code == "target-other-format"
    with pytest.raises(EtuiError) as refusal:
        etui.convert("s3://bucket/x.etui", f"{web.url}/new.safetensors")
    assert refusal.value.code == "remote-readonly"


@pytest.mark.library
def test_nothing_of_a_copy_stays(web: Web, tmp_path: Path, build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the copy is removed when the model is closed, and when it cannot be read."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    etui.save(build(1, 10), tmp_path / "model.etui")
    etui.convert(tmp_path / "model.etui", tmp_path / "weights.safetensors", strict=False)
    web.files["weights.safetensors"] = (tmp_path / "weights.safetensors").read_bytes()
    etui.convert(f"{web.url}/weights.safetensors", tmp_path / "copy.etui")
    assert list(scratch.iterdir()) == []
    web.files["bad.safetensors"] = b"\x10\0\0\0\0\0\0\0{" + b"x" * 40
    with pytest.raises(EtuiError):
        etui.convert(f"{web.url}/bad.safetensors", tmp_path / "copy.etui")
    assert list(scratch.iterdir()) == []


@pytest.mark.library
def test_a_folder_of_another_format_is_copied_with_all_its_files(memory: str, tmp_path: Path, build: Build) -> None:
    """A TensorFlow checkpoint is read from its folder, and by the name that its files begin with."""
    pytest.importorskip("google_crc32c")
    etui.save(build(3, 100), tmp_path / "model.etui")
    etui.convert(tmp_path / "model.etui", f"{memory}/ckpt/model.index", strict=False)
    names = {name.rpartition("/")[2] for name in fsspec.filesystem("memory").find("/run/ckpt")}
    assert {"model.index", "model.data-00000-of-00001"} <= names
    for source in (f"{memory}/ckpt/", f"{memory}/ckpt/model.index", f"{memory}/ckpt/model"):
        etui.convert(source, tmp_path / "back.etui", strict=False)
        with etui.open(tmp_path / "back.etui") as opened:
            assert opened.weights is not None
            assert len(opened.weights) == 3


@pytest.mark.library
@pytest.mark.parametrize("name", ["../out.txt", "a/../../out.txt", "a\\b"])
def test_names_of_a_store_do_not_lead_out_of_the_copy(
    memory: str, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that lists a file as lying above its folder is refused before a byte is copied."""
    put(f"{memory}/model/saved_model.pb", b"")
    fs = fsspec.filesystem("memory")
    listed = {f"/run/model/{name}": {"name": f"/run/model/{name}", "size": 1, "type": "file"}}
    monkeypatch.setattr(type(fs), "find", lambda *_, **__: listed)
    with pytest.raises(EtuiError) as refusal:
        etui.convert(f"{memory}/model/", tmp_path / "x.etui")
    assert refusal.value.code == "foreign-folder-name"


@pytest.mark.library
def test_the_commands_take_urls(memory: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`convert`, `inspect`, `verify`, `validate` and `diff` work on URLs, with fsspec's own configuration."""
    identity = etui.save(everything(), tmp_path / "model.etui")

    def run(*arguments: str) -> dict[str, object]:
        assert main([*arguments, "--json"]) == 0
        found: dict[str, object] = json.loads(capsys.readouterr().out)
        return found

    url = f"{memory}/model.etui"
    assert run("convert", str(tmp_path / "model.etui"), url)["identity"] == identity
    assert run("convert", url, f"{memory}/folder")["identity"] == identity
    for location, form in ((url, "packed"), (f"{memory}/folder", "directory")):
        found = run("inspect", location)["artifact"]
        assert isinstance(found, dict)
        assert (found["identity"], found["form"]) == (identity, form)
        assert run("verify", location)["identity"] == identity
        assert run("validate", location)["ok"] is True
    assert run("diff", url, str(tmp_path / "model.etui"))["identical"] is True


@pytest.mark.library
def test_cleaning_a_url_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """`etui clean` is for file systems, and says so."""
    assert main(["clean", "s3://bucket/model.etui"]) == 2
    assert "[command-usage]" in capsys.readouterr().err


@pytest.mark.library
def test_an_artifact_behind_a_url_is_signed_and_the_signature_lies_beside_it(memory: str, tmp_path: Path) -> None:
    """`sign` and `verify` by key find the signature at the URL with `.sig`, or at a path that is named."""
    pytest.importorskip("model_signing")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    (tmp_path / "key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public").write_bytes(public)
    url = f"{memory}/model.etui"
    identity = etui.save(everything(), url)
    for place in (None, tmp_path / "model.sig", f"{memory}/other.sig"):
        signed = signing.sign(url, tmp_path / "key", place)
        assert signed.identity == identity
        assert signing.verify(url, place, tmp_path / "public").identity == identity
    assert fsspec.filesystem("memory").exists("/run/model.etui.sig")
    put(f"{memory}/model.etui.sig", b"something else")
    with pytest.raises(EtuiError) as refusal:
        signing.sign(url, tmp_path / "key")
    assert refusal.value.code == "signature-target"
    with pytest.raises(EtuiError) as refusal:
        signing.verify(url, f"{memory}/none.sig", tmp_path / "public")
    assert refusal.value.code == "signature-missing"
    etui.save(everything(), f"{memory}/folder/")
    with pytest.raises(EtuiError) as refusal:
        signing.sign(f"{memory}/folder/", tmp_path / "key", f"{memory}/folder/x.sig")
    assert refusal.value.code == "signature-place"


@pytest.mark.library
def test_options_are_those_of_the_call_or_of_fsspec(
    s3: S3, web: Web, tmp_path: Path, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options of a call reach the file system, for several by protocol; without them fsspec's configuration holds."""
    monkeypatch.delitem(conf, "s3")
    options = s3.options
    etui.save(build(1, 10), "s3://bucket/model.etui", storage_options=options)
    with etui.open("s3://bucket/model.etui", storage_options=options) as opened:
        assert opened.form == "packed"
    assert etui.verify("s3://bucket/model.etui", storage_options=options).tensors == 1
    assert etui.validate("s3://bucket/model.etui", storage_options=options).ok
    etui.save(build(1, 10), tmp_path / "model.etui")
    web.files["model.etui"] = (tmp_path / "model.etui").read_bytes()
    both = {"s3": options, "http": {"headers": {"X-Test": "seen"}}}
    etui.convert(f"{web.url}/model.etui", "s3://bucket/copy.etui", storage_options=both)
    assert {one.headers.get("x-test") for one in web.take()} == {"seen"}
    assert etui.diff("s3://bucket/copy.etui", f"{web.url}/model.etui", storage_options=both).same


@pytest.mark.library
def test_what_a_url_is() -> None:
    """A URL has a scheme and `://`; those of files of this machine are paths."""
    urls = ["s3://b/k", "https://h/x?y=z", "memory://a", "simplecache::s3://b/k", "zip://x::s3://b/k.zip", "HF://a/b"]
    paths = ["model.etui", "/a/b", "./s3:/b", "C:\\x", "a://b/c"[1:], "file:///a/b", "local:///a", ""]
    assert [text for text in urls if not is_url(text)] == []
    assert [text for text in paths if is_url(text)] == []
    assert local("file:///a/b%20c") == "/a/b c"
    assert local("s3://b/k") == "s3://b/k"
    assert protocol("simplecache::s3://b/k") == "simplecache"


@pytest.mark.library
def test_a_file_url_is_a_path(tmp_path: Path) -> None:
    """`file://` saves and opens as the path does, in one step."""
    identity = etui.save(everything(), f"file://{tmp_path}/model.etui")
    assert etui.verify(tmp_path / "model.etui").identity == identity
    with etui.open(f"file://{tmp_path}/model.etui") as opened:
        assert opened.digest == identity
    assert etui.convert(f"file://{tmp_path}/model.etui", f"file://{tmp_path}/folder/").ok
    assert etui.verify(tmp_path / "folder").identity == identity


@pytest.mark.library
def test_nested_options_end_with_their_block(s3: S3, build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options hold for the block alone."""
    monkeypatch.delitem(conf, "s3")
    with storage_options(s3.options):
        etui.save(build(1, 10), "s3://bucket/model.etui")
        with storage_options({"s3": s3.options}):
            assert etui.validate("s3://bucket/model.etui").ok


@pytest.mark.frameworks
@pytest.mark.library
def test_a_keras_model_is_saved_to_a_url_and_loaded_from_it(memory: str, s3: S3) -> None:
    """A live model goes to a store and comes back with its optimizer, and its weights load into another."""
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    x, y = np.ones((8, 4), np.float32), np.ones((8, 2), np.float32)
    model.fit(x, y, verbose=0)
    for url in (f"{memory}/model.etui", "s3://bucket/model/"):
        etui.save(model, url)
        loaded = etui.keras.load(url)
        assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
        assert int(loaded.optimizer.iterations) == 1
        fresh = keras.models.clone_model(model)
        etui.keras.load_weights(fresh, url)
        assert np.array_equal(fresh.predict(x, verbose=0), model.predict(x, verbose=0))
    # A file of Keras itself is copied first.
    etui.convert(f"{memory}/model.etui", f"{memory}/model.keras")
    again = etui.keras.load(f"{memory}/model.keras")
    assert np.array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.frameworks
@pytest.mark.library
@pytest.mark.parametrize("base", ["memory://run/checkpoints", "s3://bucket/checkpoints"])
def test_checkpoints_of_fit_go_to_a_url(memory: str, s3: S3, base: str) -> None:
    """The callback writes to URLs with fields in their names, and the latest of them is found and resumed from."""
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    x, y = np.ones((8, 4), np.float32), np.ones((8, 2), np.float32)
    pattern = f"{base}/model-{{epoch:02d}}.etui"
    model.fit(x, y, epochs=2, verbose=0, callbacks=[etui.keras.ModelCheckpoint(pattern)])
    assert etui.keras.latest_checkpoint(pattern) == f"{base}/model-02.etui"
    assert etui.keras.latest_checkpoint(base) == f"{base}/model-02.etui"
    resumed = etui.keras.resume(pattern)
    assert resumed is not None
    assert np.array_equal(resumed.model.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.frameworks
@pytest.mark.library
def test_torch_and_jax_load_from_a_url(memory: str) -> None:
    """A torch module is saved to a URL, loaded into another one, and its arrays are a tree of JAX."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("jax")
    module, other = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)
    url = f"{memory}/linear.etui"
    etui.torch.save(module, None, url)
    etui.torch.load_into(other, None, url)
    assert torch.equal(module.weight, other.weight)
    tree, _ = etui.jax.load_tree(url)
    assert np.array_equal(np.asarray(tree["bias"]), module.bias.detach().numpy())


@pytest.mark.library
def test_what_is_nowhere_is_said_to_be_nowhere(memory: str, s3: S3, tmp_path: Path) -> None:
    """A URL at which nothing is has the code that a path has, in every entry point."""
    codes = set()
    for url in (
        f"{memory}/none.etui",
        "s3://bucket/none.etui",
        f"{memory}/none",
        "s3://bucket/none",
        "s3://nobucket/x",
    ):
        for act in (etui.open, etui.verify, etui.validate, lambda at: etui.convert(at, tmp_path / "x.etui")):
            with pytest.raises(EtuiError) as refusal:
                act(url)
            codes.add(refusal.value.code)
    assert codes == {"storage-failed"}


@pytest.mark.library
def test_a_model_in_memory_equals_the_remote_one(memory: str) -> None:
    """Reading everything gives what was saved, with and without checks."""
    model = everything()
    etui.save(model, f"{memory}/model.etui")
    for verify in (True, False):
        with etui.open(f"{memory}/model.etui", verify=verify) as opened:
            assert same(opened, model)
