"""Small things every page uses: safe text, errors as one line, headings, colour scales."""

from __future__ import annotations

import functools
import html
import logging
import re
import secrets
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import streamlit as st

from c3d_viz import render
from c3d_viz.errors import VizError

log = logging.getLogger("c3d_viz.app")
P = ParamSpec("P")
T = TypeVar("T")

LOOKS = {"magnitude": "Strength", "signed": "Signed"}


def plain(text: str) -> str:
    """Text that Streamlit's markdown shows as it is: names of files come from strangers."""
    return re.sub(r"([\\`*_{}\[\]<>#$~|:])", r"\\\1", text)


def weights(text: str) -> str:
    """The line about a network's weights, for markdown."""
    return plain(text.replace(" x ", " × "))


def guarded(draw: Callable[P, T]) -> Callable[P, T | None]:
    """A page or fragment from which no traceback reaches anybody; it then gives None.

    The library's errors are shown as they are, one line that says what to do. Anything else goes
    to the log, under a reference that the page names.
    """

    @functools.wraps(draw)
    def safe(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return draw(*args, **kwargs)
        except VizError as error:
            refuse(str(error))
        except Exception:
            reference = secrets.token_hex(3)
            log.exception("a page failed (reference %s)", reference)
            st.error(
                f"Something went wrong on this page. The server's log has the details under "
                f"{reference}. Reload the page to go on.",
                icon=":material/error:",
            )
        return None

    return safe


def refuse(message: str) -> None:
    """One line that says what is wrong and what to do, with files called as people call them."""
    from .sessions import in_own_names, session  # brings PyTorch along, which is there by now

    st.error(plain(in_own_names(message, session())), icon=":material/error:")


def heading(text: str, below: str = "") -> None:
    """A section's heading, and a sentence under it."""
    st.subheader(text, anchor=False)
    if below:
        fact(below)


def title(text: str, below: str) -> None:
    """A page's title and, quietly beside it, what one does there."""
    with st.container(key="title", horizontal=True, vertical_alignment="center", gap="small"):
        st.title(text, anchor=False, width="content")
        st.markdown(plain(below), width="stretch")


def fact(text: str) -> None:
    """A quiet paragraph of plain text."""
    st.html(f'<p class="fact">{html.escape(text)}</p>')


def answers(activation: float) -> str:
    """How a unit answers, in words."""
    return f"answers {activation:z.3g}" if activation else "does not answer here"


def share(value: float) -> str:
    """A share in percent that says 100 % of nothing less than all."""
    for digits in range(4):
        text = f"{100 * value:.{digits}f}"
        if float(text) < 100 or value == 1:
            return f"{text} %"
    return "99.999 %"


def scale(look: str, what: str) -> None:
    """The colour scale of a look, with words at its ends."""
    stops = ",".join(f"rgb({r},{g},{b})" for r, g, b in colour_map(look)[:: 255 // 8])
    low, high = ("nothing", "most") if look == "magnitude" else ("less light", "more light")
    st.html(
        f'<div class="scale">{low}<i style="background:linear-gradient(90deg,{stops})"></i>{high}'
        f"<span>{html.escape(what)}</span></div>"
    )


def colour_map(look: str = "magnitude") -> Any:
    """(256, 3) uint8 table of a look."""
    name = render.SEQUENTIAL if look == "magnitude" else render.DIVERGING
    return render.colour_table(name)
