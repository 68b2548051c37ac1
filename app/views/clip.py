"""Page 1: a clip with its window, a map on it, and the strongest maps, on one screen."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from c3d_viz.clips import span_of
from c3d_viz.errors import ClipError
from c3d_viz.nets import InputSpec

from .. import chooser, components, drawing, samples, state, ui, words, work
from ..samples import Source
from ..sessions import session
from ..uploads import CLIP_LIMIT_MB
from ..view import STRIDES
from ..waiting import wait_for
from . import along, stage

LEFT_FIT = 640  # pixels of a screen's height that are not the clip's


def page() -> None:
    """Draw the page."""
    stage.network()
    ui.title("What does a video network see?", "Choose a clip, a moment of it, a layer and a map.")
    left, middle, right = stage.columns()
    with left:
        filmed = st.container()
        above = st.container(key="window-place")
    shown = unit = None
    with middle:
        try:
            shown = state.shown()
        except ClipError as error:  # the timeline stays: another window may do
            ui.refuse(str(error))
        if shown is not None:
            unit = state.unit(shown)
            if not stage.answer(shown, unit):
                unit = None
    if shown is not None:
        with filmed:
            as_filmed(shown, unit)
    with above:  # the look along the whole clip: the picture does not wait for it
        window(state.source(), shown, unit)
    if shown is not None and unit is not None:
        with right:
            stage.strongest(shown, unit)
        below(shown)
    with left, st.container(key="samples-place"):  # last: the synthetic ones take a while to make
        choose()


def below(shown: state.Shown) -> None:
    """What the network calls the clip, and what explains the page."""
    st.space("small")
    left, middle, right = st.columns([27, 36, 30], gap="medium")
    with left:
        as_given(shown)
    with middle:
        predictions(shown)
    with right:
        ui.heading("Good to know")
        with st.expander("What is a deconvolution?"):
            st.markdown(words.DECONVOLUTION)
        if shown.net.choice.is_c3d:
            with st.expander("Why 16 frames?"):
                st.markdown(words.SIXTEEN)
        with st.expander("Play the whole video"):
            whole_video(shown)


def choose() -> None:
    """Samples, and this session's own clip, as moving tiles."""
    items = wait_for(sample_items(state.sessions().storage.root), "Preparing the samples")
    own = []
    for key, stored in reversed(session().clips.items()):  # the latest first
        of = state.source(key)
        try:
            thumb = wait_for(functools.partial(state.thumb, of), "Looking through the clip")
        except ClipError:
            thumb = ""  # the page says elsewhere what is wrong
        own.append(tile(key, stored.label, "your clip", thumb))
    components.tiles(
        "samples",
        "Clip",
        [*own, *items],
        state.view().clip,
        lambda key: state.change(state.view().with_clip(key)),
        width=96,
        ratio=1.6,
        notes=False,
        uploader=".st-key-upload-place",
        upload_label=f"Upload a clip of your own, up to {CLIP_LIMIT_MB} MB. "
        "It stays on this machine.",
    )
    chooser.upload_clip()


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


def window(of: Source, shown: state.Shown | None, unit: work.Spot | None) -> None:
    """The timeline with the window on it, also where no window could be read."""
    spec = state.network().spec.input
    stride = state.fitting_stride(of, spec.frames, state.view().stride * spec.stride)
    start = state.view().start or 0 if shown is None else shown.window.start

    def look() -> tuple[list[float], list[tuple[int, str]]]:
        try:
            return state.energy(of).tolist(), state.stills(of)
        except ClipError:
            return [], []

    energy, stills = wait_for(look, "Looking through the clip")

    def move(start: int, live: bool) -> None:
        view = state.view()
        new = view.with_window(start, view.stride)
        if unit is not None:  # the same map goes along
            new = new.with_channel(unit.channel)
        if live and unit is not None:
            state.drag(new, [stage.MAP, stage.FILMED])
        else:
            state.change(new)

    components.timeline(
        "timeline",
        energy=energy,
        frames=of.info.frames,
        fps=of.info.fps,
        start=start,
        span=span_of(stride, spec.frames),
        stills=stills,
        trace=along.trace(shown, unit) if shown and unit else None,
        picked=move,
    )
    possible = [s for s in STRIDES if span_of(s * spec.stride, spec.frames) <= of.info.frames]
    if len(possible) > 1:
        every = {s: s * spec.stride for s in possible}
        names = {s: "Every frame" if n == 1 else f"Every {nth(n)}" for s, n in every.items()}
        chosen = st.segmented_control(
            "The window takes",
            possible,
            default=min(state.view().stride, max(possible)),
            format_func=names.get,
            required=True,
            label_visibility="collapsed",
        )
        if chosen != state.view().stride:
            start = min(start, of.info.frames - span_of(chosen * spec.stride, spec.frames))
            state.change(state.view().with_window(start, chosen))
            st.rerun()
    if shown and unit:
        along.controls(shown, unit)
    notes = (*of.info.notes, *(shown.window.notes if shown else ()))
    for note in dict.fromkeys(notes):
        st.caption(ui.plain(note))


def nth(number: int) -> str:
    """2nd, 3rd, 4th: of numbers whose last digit says so."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


@st.fragment(key=stage.FILMED)
@ui.guarded
def as_filmed(shown: state.Shown, unit: work.Spot | None) -> None:
    """The window in the clip's own shape, with an outline on what the network gets of it."""
    moved = state.dragged()
    with st.container(key="moved-clip"):  # at every run: what follows stays
        if moved:
            shown = state.shown()
    win = shown.window
    height, width = win.wide.shape[1:3]
    tall = 130 if moved else 260
    src = wait_for(lambda: drawing.frame_sprite(win, tall, "wide"), "Drawing the frames")
    part = seen_part(shown.net.spec.input, width, height)
    components.player(
        "filmed",
        [
            {
                "alt": f"Frames of the clip {shown.source.label} as filmed; the network sees what "
                "is inside of the outline",
                "src": src,
                "ratio": width / height,
                "box": part,
                "part": part,
            }
        ],
        first=win.start,
        count=len(win.frames),
        stride=win.stride,
        fps=1,
        follows=stage.LEADER,
        fit=LEFT_FIT,
        **(stage.linked(shown, unit) if unit else {}),
    )


def seen_part(spec: InputSpec, width: int, height: int) -> list[float]:
    """Left, top, width and height of the network's crop as shares of the whole picture."""
    if isinstance(spec.resize, int):
        short = min(width, height)
        whole = (spec.resize * height / short, spec.resize * width / short)
    else:
        whole = spec.resize
    h, w = (min(1.0, crop / side) for crop, side in zip(spec.crop, whole, strict=True))
    return [(1 - w) / 2, (1 - h) / 2, w, h]


def as_given(shown: state.Shown) -> None:
    """The exact pixels that the network gets."""
    win = shown.window
    height, width = win.frames.shape[1:3]
    ui.heading("What the network gets")
    src = wait_for(lambda: drawing.frame_sprite(win, height), "Drawing the frames")
    components.player(
        "given",
        [
            {
                "title": f"The exact {width} × {height} pixels",
                "note": "Nothing outside of them can have an influence.",
                "alt": f"The same frames scaled and cropped to {width} by {height} pixels",
                "src": src,
                "ratio": width / height,
            }
        ],
        first=win.start,
        count=len(win.frames),
        stride=win.stride,
        fps=1,
        follows=stage.LEADER,
    )


def predictions(shown: state.Shown) -> None:
    """Classes with probabilities, where the weights have classes."""
    found = work.classes(shown.net, shown.window, state.view().layer)
    ui.heading("What the network calls it")
    if not found:
        ui.fact("These weights name no classes, so there is nothing to predict.")
        st.caption(ui.weights(shown.net.spec.weights))
        return
    last, view = state.tree().blocks[-1]["id"], state.view()
    for number, name, p in found:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if st.button(
                ui.plain(name),
                key=f"class-{number}",
                type="secondary" if (number, last) == (view.channel, view.layer) else "tertiary",
                help=f"Show what speaks for {ui.plain(name)} in these frames",
                width=190,
            ):
                state.change(view.with_layer(last).with_channel(number))
                st.rerun()
            st.html(
                f'<div class="class"><i style="width:{100 * p:.1f}%"></i></div>', width="stretch"
            )
            st.html(f'<b class="share">{p:.1%}</b>', width="content")
    ui.fact("Choose one: the map above then shows on the clip what speaks for it.")
    if shown.net.choice.model.startswith("compact") and shown.net.choice.weights is None:
        ui.fact(
            "These classes are made up: cut-outs that move in one of ten ways. This small network "
            "has never seen a real video, so on one it can only say what the motion is like."
        )
    st.caption(ui.weights(shown.net.spec.weights))


def whole_video(shown: state.Shown) -> None:
    """The file itself, where browsers play its kind."""
    path = shown.source.path
    if path.suffix.lower() not in (".mp4", ".webm"):
        ui.fact("Browsers play mp4 and webm; this clip is of another kind.")
    elif st.toggle("Load the video", key=f"whole-{shown.source.key}"):
        st.video(path, muted=True)
