"""Page 5: everything as files, and the command line that makes them again."""

from __future__ import annotations

import functools
from typing import Any

import streamlit as st

from c3d_viz.export import ExportSettings, named_layers
from c3d_viz.methods import METHODS

from .. import exporting, state, tasks, ui, waiting
from ..sessions import session
from ..tasks import Task

JOB = "export"
BEGIN = "Make the export"


def page() -> None:
    """Draw the page."""
    ui.title(
        "Take it with you",
        "The clip and window you chose as videos, pictures, numbers (npz) and a page, in a zip.",
    )
    shown = state.shown()
    wanted = choose(shown)
    if wanted is None:
        return
    st.code(exporting.command(shown, wanted), language=None, wrap_lines=True)
    name = f"{JOB} {shown.net.key} {shown.window.key} {wanted}"
    job = session().jobs.get(name)
    if (job is None or job.state != "running") and st.button(
        BEGIN, type="primary", icon=":material/folder_zip:"
    ):
        for other in session().jobs.values():
            other.cancel()
        exporting.discard(session())
        session().jobs[name] = tasks.begin(
            "Exporting",
            functools.partial(exporting.make, shown, wanted, session().folder),
        )
        st.rerun()
    waiting.show(session().jobs.get(name), BEGIN, done)


def choose(shown: state.Shown) -> ExportSettings | None:
    """Layers, methods and maps; None while something is missing."""
    view = state.view()
    left, right = st.columns([3, 2], gap="large")
    tree = state.tree()
    choices = dict.fromkeys([b["id"] for b in tree.blocks if b["id"] in tree.layers])
    choices[view.layer] = None
    with left:
        layers = st.pills(
            "Layers",
            choices,
            selection_mode="multi",
            default=[view.layer],
            key="export-layers",
            disabled=st.session_state.get("export-which") == "one",  # whose layer it is then
            wrap=True,
        )
        methods = st.pills(
            "Methods",
            list(METHODS),
            selection_mode="multi",
            default=[view.method],
            format_func=lambda m: METHODS[m].title,
            key="export-methods",
            wrap=True,
        )
    with right:
        which = st.radio(
            "Feature maps",
            ["top", "one"],
            format_func={"top": "the strongest of each layer", "one": "only the one I chose"}.get,
            key="export-which",
        )
        maps: dict[str, Any] = {}
        if which == "top":
            maps["top"] = st.slider("How many of each layer", 1, 12, 4, key="export-top")
        else:
            unit = state.unit(shown)
            st.caption(f"{unit.layer}, map {unit.channel}, position {unit.at or 'none'}")
    if which == "one":
        unit = state.unit(shown)
        at = unit.at if view.at is not None else None
        layers, maps = [unit.layer], {"channel": (unit.channel,), "at": at}
    if not layers or not methods:
        ui.fact("Choose at least one layer and one method.")
        return None
    named = named_layers(layers) if shown.net.choice.is_c3d else tuple(layers)
    maps["layers"], maps["methods"] = named, tuple(methods)
    return exporting.settings(shown, mode=view.look, **maps)


def done(job: Task) -> None:
    """The finished zip."""
    path, count = job.result
    if not path.is_file():
        return
    st.success(
        f"{count} files, {path.stat().st_size / 1024**2:.1f} MB.", icon=":material/check_circle:"
    )
    with path.open("rb") as file:
        st.download_button(
            "Download the zip",
            file,
            "c3d_viz-export.zip",
            "application/zip",
            type="primary",
            icon=":material/download:",
            on_click="ignore",
        )
