"""Torch modules that users wrote, as core graphs."""
