"""The version of the reference library and of the specification that it implements."""

__version__ = "1.0.0.dev0"
SPEC_VERSION = "1.0"
