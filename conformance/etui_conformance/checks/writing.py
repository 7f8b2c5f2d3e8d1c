"""Writers: the bytes that an encoded content has, which leave nothing to choice."""

from __future__ import annotations

import hashlib
from functools import partial

from etui_conformance.checks import writing_artifacts, writing_documents, writing_tensors
from etui_conformance.checks.base import Check, Context
from etui_conformance.checks.exchange import check_written, to_encode
from etui_conformance.checks.writing_cases import Case
from etui_conformance.oracle import writing
from etui_conformance.protocol.wire import new_path


def checks() -> list[Check]:
    """One check for each thing that a writer may get wrong."""
    cases = [*writing_tensors.cases(), *writing_documents.cases(), *writing_artifacts.cases()]
    return [
        Check(f"writing/{case.name}", case.clauses, case.needs | {"encode"}, case.title, partial(_run, case))
        for case in cases
    ]


def _run(case: Case, context: Context) -> None:
    """Have each content written in each form, and compare every byte with the canonical one."""
    for content in case.contents():
        expected = writing.write(content, case.fields.get("shard_size"))
        identity = f"sha256:{hashlib.sha256(expected['manifest.json']).hexdigest()}"
        forms = context.session.hello.artifact_forms
        for form in sorted(forms & {case.form} if case.form in forms else forms):
            path = new_path(context.folder, ".etui" if form == "packed" else "")
            question = to_encode(context.session, content, form, path, **case.fields)
            found = question.accepted()
            check_written(question, form, path, expected)
            if found.get("identity") != identity:
                raise question.mismatch("encode gave another identity than that of the manifest", identity, found)
