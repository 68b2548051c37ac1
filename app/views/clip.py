"""Page 1: choose a clip and a window; see what the network gets, and a first deconvolution."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from c3d_viz.methods import METHODS

from .. import chooser, components, drawing, pictures, samples, state, ui, words, work
from ..view import STRIDES, UPLOADED
from ..waiting import wait_for


def page() -> None:
    """Draw the page."""
    st.title("What does a video network see?", anchor=False)
    ui.lead(
        "Pick a clip or upload your own. Below, the same 16 frames three times: as filmed, as the "
        "network gets them, and with what one of its deepest filters responds to."
    )
    left, right = st.columns([2.6, 1], gap="medium")
    with right:
        chooser.upload_clip()
    shown = state.shown()
    above = st.container(key="window-place")
    first_look(shown)
    with above:  # the look along the whole clip: the picture does not wait for it
        window(shown)
    st.space("small")
    below, beside = st.columns([1, 1], gap="large")
    with below:
        predictions(shown)
    with beside:
        ui.heading("Good to know")
        with st.expander("What is a deconvolution?"):
            st.markdown(words.DECONVOLUTION)
        with st.expander("Why 16 frames?"):
            st.markdown(words.SIXTEEN)
        with st.expander("Play the whole video"):
            whole_video(shown)
    with left, st.container(key="samples-place"):  # last: the synthetic ones take a while to make
        choose()


def choose() -> None:
    """Samples, and this session's own clip, as moving tiles."""
    items = wait_for(sample_items(state.sessions().storage.root), "Preparing the samples")
    own = chooser.session().clip
    if own is not None:
        of = state.source(UPLOADED)
        thumb = wait_for(lambda: state.thumb(of), "Looking through the clip")
        items = [tile(UPLOADED, own.label, "your clip", thumb), *items]
    components.tiles(
        "samples",
        "Clip",
        items,
        state.view().clip,
        lambda key: state.change(state.view().with_clip(key)),
        width=104,
    )


def sample_items(folder: Path) -> Callable[[], list[dict[str, object]]]:
    """Makes one tile for each sample clip."""

    def make() -> list[dict[str, object]]:
        made = []
        for key, sample in samples.samples().items():
            of = samples.sample_source(key, folder)
            made.append(tile(key, sample.title, sample.note, state.thumb(of)))
        return made

    return make


def tile(key: str, title: str, note: str, thumb: str) -> dict[str, object]:
    """What the tiles component needs."""
    alt = f"Moving thumbnail of the clip {title}"
    return {"id": key, "title": title, "note": note, "src": thumb, "frames": 16, "alt": alt}


def window(shown: state.Shown) -> None:
    """The timeline with the window on it."""
    of, win = shown.source, shown.window
    energy, strip = wait_for(
        lambda: (state.energy(of), state.strip(of)), "Looking through the clip"
    )

    def move(start: int) -> None:
        state.change(state.view().with_window(start, win.stride))

    components.timeline(
        "timeline",
        energy=energy.tolist(),
        frames=of.info.frames,
        fps=of.info.fps,
        start=win.start,
        span=15 * win.stride + 1,
        strip=strip,
        picked=move,
    )
    possible = [s for s in STRIDES if 15 * s + 1 <= of.info.frames]
    if len(possible) > 1:
        names = {1: "every frame", 2: "every 2nd frame", 4: "every 4th frame"}
        chosen = st.segmented_control(
            "The window takes",
            possible,
            default=win.stride,
            format_func=names.get,
            required=True,
            label_visibility="collapsed",
        )
        if chosen != win.stride:
            state.change(state.view().with_window(win.start, chosen))
            st.rerun()


def first_look(shown: state.Shown) -> None:
    """The window as filmed, as the network gets it, and the chosen unit's map on it."""
    view, win, net = state.view(), shown.window, shown.net

    def make() -> tuple[work.Spot, str, str, str]:
        unit = work.spot(net, win, view.layer, view.channel, view.at)
        att = work.back_projection(net, win, unit, view.method)
        return (
            unit,
            drawing.frame_sprite(win, 260, "wide"),
            drawing.frame_sprite(win, 112),
            drawing.overlay_sprite(win, att, view.look, 280),
        )

    unit, wide, exact, over = wait_for(make, "Sending the answer back to the pixels")
    method = METHODS[view.method].title
    height, width = win.wide.shape[1:3]
    components.player(
        "first-look",
        [
            {
                "title": "As filmed", "note": f"{width} × {height} px shown",
                "alt": f"Frames of the clip {shown.source.label} as filmed",
                "src": wide, "ratio": width / height,
            },
            {
                "title": "As the network gets it", "note": "the exact 112 × 112 px",
                "alt": "The same frames scaled and cropped to 112 by 112 pixels",
                "src": exact,
            },
            {
                "title": f"What {unit.layer} map {unit.channel} sees",
                "note": f"{method}, its strongest answer" if view.at is None else method,
                "alt": f"{method} of feature map {unit.channel} of {unit.layer} over the frames; "
                "bright where it responds",
                "src": over,
            },
        ],
        first=win.start, stride=win.stride, fps=pictures.watchable(win.fps, win.stride),
        autoplay=True,
    )  # fmt: skip
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        ui.scale(view.look, "one colour scale for all 16 frames")
        st.page_link(
            st.session_state["pages"]["layers"],
            label="Look into every layer",
            icon=":material/arrow_forward:",
        )


def predictions(shown: state.Shown) -> None:
    """Classes with probabilities, where the weights have classes."""
    found = work.classes(shown.net, shown.window)
    ui.heading("What the network calls it")
    if not found:
        ui.fact("These weights name no classes, so there is nothing to predict.")
        return
    rows = "".join(
        f"<span>{html.escape(name)}</span><i style='width:{100 * p:.1f}%'></i><b>{p:.1%}</b>"
        for name, p in found
    )
    st.html(f'<div class="classes" role="table" aria-label="Predicted classes">{rows}</div>')
    st.caption(ui.plain(shown.net.spec.weights))


def whole_video(shown: state.Shown) -> None:
    """The file itself, where browsers play its kind."""
    path = shown.source.path
    if path.suffix.lower() not in (".mp4", ".webm"):
        ui.fact("Browsers play mp4 and webm; this clip is of another kind.")
    elif st.toggle("Load the video", key=f"whole-{shown.source.key}"):
        st.video(path, muted=True)
