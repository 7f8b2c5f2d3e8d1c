"""Drawn models of one core op each, and the sides that compute them: the reference, and the frameworks."""
