"""Coverage-guided fuzzing of every parser: `python refimpl/fuzz/run.py`, or `make fuzz`."""
