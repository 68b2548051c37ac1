"""Errors a person can act on: one line that names what was given, what is allowed, what to do.

The command line prints the message and exits with status 2; the dashboard shows it in the page.
"""

from __future__ import annotations

_LONGEST = 1000  # characters of a message: a name in it may have any number


def printable(text: str) -> str:
    """``text`` as one line that does nothing to a terminal.

    Newlines, escape sequences and what turns the direction of writing are spelled out, as in a
    Python string: names of files, tensors and options are other people's.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def memory_ended(error: BaseException) -> str | None:
    """What to tell people where ``error`` says that there is no memory left, on whatever device."""
    text = str(error).lower()
    phrases = ("out of memory", "allocate memory", "failed to map segment")
    if not isinstance(error, MemoryError) and not any(phrase in text for phrase in phrases):
        return None
    return (
        "not enough memory: compact needs about 0.7 GB and full-size C3D 1.3 GB, other networks "
        "what they are; close other programs, or take a smaller network or fewer units at once"
    )


class VizError(Exception):
    """Base of every error c3d_viz raises on purpose. The message is one printable line."""

    def __str__(self) -> str:
        text = printable(super().__str__())
        if len(text) > _LONGEST:  # what was given and what to do stand at the ends
            text = f"{text[: _LONGEST // 2]} … {text[3 - _LONGEST // 2 :]}"
        return text


class ClipError(VizError):
    """A video file or frame folder cannot be read as asked."""


class WeightsError(VizError):
    """A checkpoint cannot be read, is not recognised, or does not fit the network."""


class LayerError(VizError):
    """A layer name, channel or position does not exist in the model."""


class ShapeError(VizError):
    """A tensor or array does not have the layout the function states."""


class FindingError(VizError):
    """The finding cannot be tested as asked (number of networks or windows, seed)."""


class ExportError(VizError):
    """A file or folder cannot be written, or an earlier export is in the way or damaged."""
