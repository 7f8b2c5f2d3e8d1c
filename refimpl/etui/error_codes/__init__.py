"""The error codes, one row each: in the order of the chapters and annexes of SPEC.md, then the library's own."""

from __future__ import annotations

from etui.error_codes import annexes, chapters, frameworks, library, programs, saving, stores
from etui.error_codes.entry import ErrorCode

TABLES = (chapters.ROWS, annexes.ROWS, library.ROWS, frameworks.ROWS, saving.ROWS, stores.ROWS, programs.ROWS)
ERROR_CODES: dict[str, ErrorCode] = {code: ErrorCode(*row) for table in TABLES for code, row in table.items()}
"""Every code that an error of Etui can carry."""
