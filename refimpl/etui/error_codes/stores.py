"""The library's own codes of artifacts behind a URL, and on the Hub."""

from __future__ import annotations

from etui.error_codes.entry import CALLER, Rows

ROWS: Rows = {
    # Annex S.1, artifacts behind a URL
    "remote-url": ("usage", None, "a URL that no file system takes", "See fsspec's list of protocols."),
    "remote-failed": ("storage", None, "the store did not answer as it should", "Mend the reason and try again."),
    "remote-read": ("storage", None, "the store gave other bytes than were asked for", "Try again, or copy the file."),
    "remote-changed": ("storage", None, "a file that became another one while open", "Open it again."),
    "remote-ranges": ("storage", None, "a server that gives no ranges", "Download the file, and open the copy."),
    "remote-listing": ("storage", None, "a server that lists no folders", "Name a file, or download the folder."),
    "remote-readonly": ("storage", None, "a store that can only be read", "Save to a path, or to a store such as S3."),
    "remote-exists": (
        "storage",
        None,
        "a file or folder that is there, and cannot be replaced in one step",
        "Take a new name, the packed form, or a series of checkpoints.",
    ),
    "remote-busy": (
        "storage",
        None,
        "a folder into which another upload goes, or went not long ago",
        "Take a new name; or remove the files in the folder, where nobody writes.",
    ),
    "remote-write": ("storage", None, "the store has not kept what was sent", "Try again."),
    "extra-remote": ("extra", None, "a file system's package is not installed", 'Run `pip install "etui[remote]"`.'),
    # The Hub
    "hub-name": ("usage", None, "not the name of a repository", CALLER),
    "hub-missing": (
        "storage",
        None,
        "what the Hub does not have, or does not show to this token",
        "Look at the name; for what is private, log in with `hf auth login`.",
    ),
    "hub-revision": ("storage", None, "no such branch, tag or commit", "Look at the revision."),
    "hub-access": (
        "storage",
        None,
        "what the Hub does not let this token do",
        "Log in with `hf auth login`, and a token that may.",
    ),
    "hub-visibility": (
        "storage",
        None,
        "a repository of another visibility than was asked for",
        "Change it in the repository's settings, or leave the option out.",
    ),
    "hub-target": (
        "storage",
        None,
        "a file of the repository that would be lost",
        "Remove it, or choose a folder with `path_in_repo`.",
    ),
    "hub-changed": (
        "storage",
        None,
        "a branch that others changed meanwhile",
        "Do it again: what is uploaded is not uploaded twice.",
    ),
    "hub-source": (
        "storage",
        None,
        "a model that changed while it was uploaded; nothing was committed",
        "Do it again.",
    ),
    "hub-incomplete": (
        "storage",
        None,
        "a commit without a part that was uploaded",
        "Look at the repository, and push again; its earlier commit has the earlier model.",
    ),
    "hub-busy": ("storage", None, "more requests than the Hub takes", "Wait, and do it again."),
    "hub-failed": ("storage", None, "a failure of the Hub", "Do it again: what was transferred is kept."),
    "hub-refused": ("storage", None, "what the Hub refuses", "Look at what it says."),
    "hub-unreachable": ("storage", None, "a Hub that cannot be reached", "Look at the network and at HF_ENDPOINT."),
    "extra-hub": ("extra", None, "huggingface_hub is not installed", 'Run `pip install "etui[hub]"`.'),
}
