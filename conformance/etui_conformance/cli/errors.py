"""What a command cannot do."""


class CommandError(Exception):
    """A command was asked wrongly, or lacks something; the message says what to do."""
