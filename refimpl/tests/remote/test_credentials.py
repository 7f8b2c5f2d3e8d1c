"""What is needed for a store, and what is never told about it."""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

import etui
from etui.cli import main
from etui.errors import EtuiError, MissingExtraError
from etui.model import Model
from etui.report import Report
from etui.storage.remote_failures import remote_errors, scrubbed, secrets_of
from etui.storage.remote_store import Store
from etui.testing.servers import S3, Web

Build = Callable[..., Model]
PASSWORD = "a-very-secret-password"
SIGNATURE = "X-Amz-Signature=0123456789abcdef"


def told(act: Callable[[], object]) -> str:
    """Everything that an error says: message, notes, causes."""
    with pytest.raises(EtuiError) as refusal:
        act()
    text = "".join(traceback.format_exception(refusal.value)) + json.dumps(refusal.value.as_json())
    # The lines of the test itself name the URL.
    return "\n".join(line for line in text.splitlines() if "told(" not in line and "lambda" not in line)


@pytest.mark.clause("RM-17@1ea50c")
@pytest.mark.parametrize("answer", [500, 404, 403, 206, 302])
def test_no_message_has_the_password_or_the_query_of_a_url(web: Web, tmp_path: Path, answer: int) -> None:
    """Whatever goes wrong, the user, the password and the signature of a URL are not in what is said of it."""
    host = web.url.removeprefix("http://")
    url = f"http://someone:{PASSWORD}@{host}/folder/model.etui?{SIGNATURE}"
    web.behaviours["folder/model.etui"] = lambda handler, _: handler.send(answer, b"", Location="/elsewhere")
    texts = [told(lambda: etui.open(url)), told(lambda: etui.verify(url))]
    texts.append(told(lambda: etui.convert(url, tmp_path / "x.etui")))
    texts.append(told(lambda: etui.save(Model(), url)))
    assert [text for text in texts if PASSWORD in text] == []
    assert [text for text in texts if "someone" in text or SIGNATURE in text] == []
    assert all(f"http://{host}/folder/" in text for text in texts)


@pytest.mark.clause("RM-17@1ea50c")
def test_no_report_and_no_output_has_them(
    web: Web, tmp_path: Path, build: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    """A conversion that succeeds tells its source without them, in the report, as JSON, and on the terminal."""
    etui.save(build(2, 100), tmp_path / "model.etui")
    web.files["model.etui"] = (tmp_path / "model.etui").read_bytes()
    url = f"http://someone:{PASSWORD}@{web.url.removeprefix('http://')}/model.etui?{SIGNATURE}"
    report = etui.convert(url, tmp_path / "copy.etui")
    said = [str(report), json.dumps(report.as_json())]
    for command in ("inspect", "verify", "validate"):
        for form in ([], ["--json"]):
            assert main([command, url, *form]) == 0
            said.append("".join(capsys.readouterr()))
    assert main(["convert", url, str(tmp_path / "again.etui"), "--report", str(tmp_path / "report.json")]) == 0
    said += ["".join(capsys.readouterr()), (tmp_path / "report.json").read_text()]
    said.append(str(etui.diff(url, tmp_path / "copy.etui").as_json()))
    assert len(said) == 11
    assert [text for text in said if PASSWORD in text or SIGNATURE in text] == []
    assert PASSWORD.encode() not in (tmp_path / "copy.etui").read_bytes()
    # The server was told: it is HTTP's own way.
    assert any("authorization" in one.headers for one in web.take())


@pytest.mark.clause("RM-17@1ea50c")
def test_no_message_has_the_keys_of_the_options(s3: S3, build: Build) -> None:
    """Keys, tokens and headers among the options are cut out of what a file system says."""
    options = s3.options | {"key": PASSWORD, "token": f"{PASSWORD}-2"}
    s3.refuse = lambda _: 400
    text = told(lambda: etui.open("s3://bucket/model.etui", storage_options=options))
    assert PASSWORD not in text
    secrets = tuple(
        secrets_of({"headers": {"X-Own": "abcdefgh"}, "client_kwargs": {"auth_token": "tttt"}, "anon": "yes"})
    )
    assert secrets == ("abcdefgh", "tttt")
    assert scrubbed("it said abcdefgh at https://u:p@host/x?sig=1 and tttt", secrets) == (
        "it said … at https://host/x?… and …"
    )


@pytest.mark.clause("RM-17@1ea50c")
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_no_cause_that_is_shown_with_an_error_tells_a_secret(depth: int) -> None:
    """An error's causes, and theirs, are in its traceback: where one of them has a secret, none is shown."""

    def fail(level: int) -> None:
        if level:
            try:
                fail(level - 1)
            except ValueError as cause:
                raise ValueError("without") from cause
        raise ValueError(f"the key {PASSWORD}")

    def act() -> None:
        with remote_errors("memory://a", (PASSWORD,)):
            fail(depth)

    text = told(act)
    assert PASSWORD not in text
    assert "remote-failed" in text


@pytest.mark.library
def test_long_messages_of_a_server_are_cut() -> None:
    """What a server says is one line, and no longer than a message should be."""
    text = scrubbed("a line\n" * 1000)
    assert len(text) == 300
    assert "\n" not in text


@pytest.mark.library
@pytest.mark.parametrize(
    ("url", "missing", "extra"),
    [
        ("memory://a/model.etui", "fsspec", "etui[remote]"),
        ("https://a/model.etui", "aiohttp", "etui[remote]"),
        ("s3://a/model.etui", "s3fs", "etui[s3]"),
        ("gs://a/model.etui", "gcsfs", "etui[gcs]"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(url: str, missing: str, extra: str) -> None:
    """Where fsspec or the package of a protocol is not installed, the error says what to install."""
    code = (
        "import sys\n"
        f"sys.modules[{missing!r}] = None\n"
        "import etui\n"
        "try:\n"
        f"    etui.open({url!r})\n"
        "except etui.MissingExtraError as fault:\n"
        "    print(fault.code, fault.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == f'extra-remote Run `pip install "{extra}"`.\n', done.stderr


@pytest.mark.library
def test_an_unknown_protocol_is_a_usage_error() -> None:
    """A URL of no file system is refused before anything is asked."""
    with pytest.raises(EtuiError) as refusal:
        etui.open("nosuch://a/model.etui")
    assert refusal.value.code == "remote-url"
    assert not isinstance(refusal.value, MissingExtraError)


@pytest.mark.library
def test_importing_etui_loads_nothing_for_stores() -> None:
    """`import etui`, and opening a local artifact, load no fsspec and no HTTP."""
    code = (
        "import sys, etui\n"
        "from etui import artifact, conversion, verification\n"
        "names = {'fsspec', 'aiohttp', 's3fs', 'etui.storage.remote', 'etui.storage.remote_store'}\n"
        "print(sorted(names & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.library
def test_a_report_names_urls_without_secrets() -> None:
    """Both ends of a report are shown so."""
    report = Report("https://u:p@h/a?b=c", "s3://b/k")
    assert next(report.lines()) == "https://h/a?… -> s3://b/k"
    assert Store("memory://a/b?c=d").where == "memory://a/b?…"
