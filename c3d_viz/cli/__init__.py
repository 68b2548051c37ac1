"""The command line. Light: what a command needs is imported when it runs."""

from .commands import main
from .dashboard import STARTED, command
