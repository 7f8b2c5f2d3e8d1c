"""Fetch an etui from the Hugging Face Hub, and verify it before it takes its place."""

from __future__ import annotations

import argparse

from etui.bridges.hub import Pulled, pull
from etui.cli.interruption import interruptible
from etui.cli.outcome import GOOD, Outcome
from etui.cli.screen import Screen, progress_bar
from etui.cli.sizes import counted, size_text


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("repo", metavar="REPO", help="user/name")
    parser.add_argument("target", metavar="TARGET", help="the file or folder to write or replace")
    parser.add_argument("--revision", metavar="REVISION", help="a branch, a tag or a commit; by default main")
    parser.add_argument("--form", choices=("packed", "directory"), help="by default what TARGET's name says")
    parser.add_argument(
        "--path-in-repo", metavar="FOLDER", default="", help="where in the repository; by default its root"
    )
    parser.add_argument("--identity", metavar="DIGEST", help="refuse an etui of another identity")


def run(options: argparse.Namespace) -> Outcome:
    """Fetch; the token is the one that `hf auth login` has stored, or that HF_TOKEN is."""
    with progress_bar("pulling") as bar, interruptible(bar) as progress:
        done = pull(
            options.repo,
            options.target,
            revision=options.revision,
            path_in_repo=options.path_in_repo,
            identity=options.identity,
            form=options.form,
            progress=progress,
        )
    return Outcome(GOOD, done.as_json(), lambda screen: _show(screen, done))


def _show(screen: Screen, done: Pulled) -> None:
    screen.line(f"{done.target}: every byte is as it was published")
    screen.fields(
        [
            ("  identity", done.identity),
            ("  from", f"{done.repo}/{done.path_in_repo}".removesuffix("/")),
            ("  commit", done.commit),
            ("  form", done.form),
            ("  parts", f"{counted(done.parts, 'part')}, {size_text(done.bytes)}"),
            *([("  kept", f"{counted(len(done.kept), 'part')} that were here")] if done.kept else []),
        ]
    )
