"""The adapter protocol (SPEC.md, annex P): one implementation under test, spoken to by messages."""
