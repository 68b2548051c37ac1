"""What the Motion page says first and last: the full test, this clip, what one clip can show."""

from __future__ import annotations

import math

import streamlit as st

from .. import finding_work, state, ui, work
from ..finding_work import Lines


def conclusion(shown: state.Shown, found: dict[str, Lines]) -> None:
    """What the full test found, what this clip says, and that it is no more."""
    stored = finding_work.stored_result()
    forward, backward = found["as it is"].contrast, found["reversed"].contrast
    if math.isfinite(forward) and math.isfinite(backward):
        own, content = (forward + backward) / 2, (forward - backward) / 2
        here = (
            f"**This clip**: motion minus appearance, later frames minus earlier ones, "
            f"is **{forward:+z.3f}**, and **{backward:+z.3f}** with the clip reversed: "
            f"**{own:+z.3f}** stays whichever way it runs (the network's part, *P*), "
            f"**{content:+z.3f}** turns round with it (the video's part, *K*)."
        )
    else:
        why = finding_work.undefined(found["as it is"]) or finding_work.undefined(found["reversed"])
        here = f"**This clip** says nothing of it: {why}. Try a livelier window."
    if stored is not None:
        kind = st.error if stored.answer == "invalid" else st.info
        kind(f"**The full test.** {ui.plain(stored.sentence)}", icon=":material/gavel:")
        tested = f"{stored.weights} · {stored.windows} windows of {stored.videos} videos"
        found = f"The effect it found: {'; '.join(stored.effects)}."
        st.caption(f"It tested {ui.weights(tested)}. {ui.plain(found)}{_other(shown)}")
    st.markdown(here)


def _other(shown: state.Shown) -> str:
    """That the test was not of the network that is shown, where it was not."""
    if shown.net.key == compact():
        return ""
    return f" Shown below is another network: {ui.weights(shown.net.spec.weights)}."


def limits() -> None:
    """What one clip can and cannot show, and how to run the full test."""
    ui.heading("What may be concluded")
    a, b = st.columns(2, gap="large")
    with a:
        st.markdown(
            "**You may say**\n\n"
            "* what these maps follow on *these* frames;\n"
            "* how much of it turns round when the clip does."
        )
    with b:
        st.markdown(
            "**You may not say**\n\n"
            "* that the network looks at appearance first. One clip cannot show it, and untrained "
            "networks often draw the same curve;\n"
            "* anything about a class of videos, or about the brain."
        )
    st.markdown(
        "The claim is tested over many clips against re-initialised networks, with controls that "
        "must come out right. The rule was written down before any result (docs/finding.md). "
        "Run it on clips of your own:"
    )
    st.code("c3d-viz finding test CLIPS... -o OUT", language=None)


def compact() -> str:
    """Key of the network that the full test was made with."""
    return work.network("compact").key
