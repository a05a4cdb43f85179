"""What goes wrong for the person who wrote the configuration or typed the command."""


class ConfigError(Exception):
    """The configuration cannot be used; the text is for the person who wrote it."""
