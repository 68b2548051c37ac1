"""The name under which ``trust`` was known before; it stays importable."""

from .trust import *  # noqa: F403
