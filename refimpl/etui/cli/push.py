"""Publish an etui on the Hugging Face Hub, in one commit of what changed."""

from __future__ import annotations

import argparse

from etui.bridges.hub import Pushed, push
from etui.cli.outcome import GOOD, Outcome
from etui.cli.own import require_own
from etui.cli.screen import Screen, progress_bar
from etui.cli.sizes import counted, size_text


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("source", metavar="SOURCE", help="an etui of either form")
    parser.add_argument("repo", metavar="REPO", help="user/name; made if it is not there")
    parser.add_argument("--revision", metavar="BRANCH", help="the branch, by default main; made if it is not there")
    parser.add_argument(
        "--private",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether the repository is private; one that is there must be so already",
    )
    parser.add_argument("--message", metavar="TEXT", help="of the commit")
    parser.add_argument(
        "--path-in-repo", metavar="FOLDER", default="", help="where in the repository; by default its root"
    )
    parser.add_argument("--no-card", action="store_true", help="add no model card, also where there is none")


def run(options: argparse.Namespace) -> Outcome:
    """Publish; the token is the one that `hf auth login` has stored, or that HF_TOKEN is."""
    require_own(options.source)
    with progress_bar("verifying") as progress:
        done = push(
            options.source,
            options.repo,
            revision=options.revision,
            private=options.private,
            message=options.message,
            path_in_repo=options.path_in_repo,
            card=not options.no_card,
            progress=progress,
        )
    return Outcome(GOOD, done.as_json(), lambda screen: _show(screen, done))


def _show(screen: Screen, done: Pushed) -> None:
    place = f"{done.repo}/{done.path_in_repo}".removesuffix("/")
    if done.changed or done.removed or done.card:
        screen.line(f"{place}: published")
    else:
        screen.line(f"{place}: has it already")
    screen.fields(
        [
            ("  identity", done.identity),
            ("  revision", done.revision),
            ("  commit", done.commit),
            ("  uploaded", f"{len(done.changed)} of {counted(done.parts, 'part')}, {size_text(done.bytes)} in all"),
            *([("  removed", counted(len(done.removed), "part"))] if done.removed else []),
            *([("  added", "README.md, a model card")] if done.card else []),
        ]
    )
