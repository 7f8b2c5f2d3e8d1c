"""The conformance suite of Etui, and the tool that ties the clauses of SPEC.md to tests."""
