"""Adapters: programs that speak the protocol for an implementation (SPEC.md, annex P)."""
