"""Page 1: choose a clip and a window; see what the network gets, and a first deconvolution."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from c3d_viz.clips import span_of
from c3d_viz.errors import ClipError
from c3d_viz.methods import METHODS

from .. import chooser, components, drawing, pictures, samples, state, ui, words, work
from ..samples import Source
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
    above = st.container(key="window-place")
    with st.container():
        try:
            shown = state.shown()
        except ClipError as error:  # the timeline stays: another window may do
            shown = None
            ui.refuse(str(error))
    if shown is not None:
        first_look(shown)
    with above:  # the look along the whole clip: the picture does not wait for it
        window(state.source(), shown)
    if shown is not None:
        below(shown)
    with left, st.container(key="samples-place"):  # last: the synthetic ones take a while to make
        choose()


def below(shown: state.Shown) -> None:
    """What the network calls the clip, and what explains the page."""
    st.space("small")
    left, right = st.columns([1, 1], gap="large")
    with left:
        predictions(shown)
    with right:
        ui.heading("Good to know")
        with st.expander("What is a deconvolution?"):
            st.markdown(words.DECONVOLUTION)
        with st.expander("Why 16 frames?"):
            st.markdown(words.SIXTEEN)
        with st.expander("Play the whole video"):
            whole_video(shown)


def choose() -> None:
    """Samples, and this session's own clip, as moving tiles."""
    items = wait_for(sample_items(state.sessions().storage.root), "Preparing the samples")
    own = chooser.session().clip
    if own is not None:
        of = state.source(UPLOADED)
        try:
            thumb = wait_for(lambda: state.thumb(of), "Looking through the clip")
        except ClipError:
            thumb = ""  # the page says elsewhere what is wrong
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


def window(of: Source, shown: state.Shown | None) -> None:
    """The timeline with the window on it, also where no window could be read."""
    stride = state.fitting_stride(of, state.view().stride)
    start = state.view().start or 0 if shown is None else shown.window.start

    def look() -> tuple[list[float], str | None]:
        try:
            return state.energy(of).tolist(), state.strip(of)
        except ClipError:
            return [], None

    energy, strip = wait_for(look, "Looking through the clip")

    def move(start: int) -> None:
        state.change(state.view().with_window(start, stride))

    components.timeline(
        "timeline",
        energy=energy,
        frames=of.info.frames,
        fps=of.info.fps,
        start=start,
        span=span_of(stride),
        strip=strip,
        picked=move,
    )
    possible = [s for s in STRIDES if span_of(s) <= of.info.frames]
    if len(possible) > 1:
        names = {1: "every frame", 2: "every 2nd frame", 4: "every 4th frame"}
        chosen = st.segmented_control(
            "The window takes",
            possible,
            default=stride,
            format_func=names.get,
            required=True,
            label_visibility="collapsed",
        )
        if chosen != stride:
            start = min(start, of.info.frames - span_of(chosen))
            state.change(state.view().with_window(start, chosen))
            st.rerun()
    notes = (*of.info.notes, *(shown.window.notes if shown else ()))
    for note in dict.fromkeys(notes):
        st.caption(ui.plain(note))


def first_look(shown: state.Shown) -> None:
    """The window as filmed, as the network gets it, and the chosen unit's map on it."""
    view, win, net = state.view(), shown.window, shown.net

    unit = state.unit(shown)

    def make() -> tuple[str, str, str, list[float]]:
        att = work.back_projection(net, win, unit, view.method)
        return (
            drawing.frame_sprite(win, 260, "wide"),
            drawing.frame_sprite(win, 112),
            drawing.overlay_sprite(win, att, view.look, 280),
            drawing.magnitude_over_time(att).tolist(),
        )

    wide, exact, over, bars = wait_for(make, "Sending the answer back to the pixels")
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
        begin=bars.index(max(bars)), about=drawing.about(win, unit), autoplay=True,
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
