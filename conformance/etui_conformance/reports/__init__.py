"""Reports of a run: for programs, for continuous integration, and for a page."""
