"""Helpers for tests of code that reads or writes artifacts: Hypothesis strategies and files with chosen faults."""
