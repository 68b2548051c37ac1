"""The atlas the server has: how strong an answer is, and what else a map answers to.

The one it was started with, else the small one that is shipped: tables of the samples and of some
synthetic clips, whose windows are drawn when they are looked at.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath

from c3d_viz import synthetic
from c3d_viz.clips import video_info
from c3d_viz.corpus import Atlas, TopWindow, draw_window, film_strips
from c3d_viz.errors import ClipError, LayerError
from c3d_viz.files import sha256

from . import pictures, samples, work
from .pages import started
from .samples import Sample, Source
from .tasks import report

SHIPPED = Path(__file__).parent / "assets" / "atlas"
MARK = "atlas-"  # begins the key of a clip that only the atlas names
FRAMES = 40  # of a synthetic clip


def given() -> bool:
    """Whether the server was started with an atlas."""
    return started("atlas") is not None


def known() -> Atlas:
    """The server's atlas. Raises ExportError where it has been damaged since the start."""
    return _opened(started("atlas") or str(SHIPPED))


@functools.lru_cache(maxsize=4)
def _opened(path: str) -> Atlas:
    return Atlas.open(path)


def differs(net: work.Net) -> str:
    """In what a network is another one than the atlas's; nothing where it is the same."""
    atlas = known()
    key = ("atlas-differs", net.key, str(atlas.path))
    return work.kept(key, lambda: atlas.differs(net.model, net.spec))


def said(net: work.Net, unit: work.Spot) -> str:
    """How strong an answer is among all windows of the atlas; nothing of a layer it has not."""
    atlas = known()
    if unit.layer not in (layer.name for layer in atlas.layers):
        return ""
    if other := differs(net):
        return f"the atlas at hand is of another network (other {other})"
    windows = f"{atlas.about['windows']} windows in the atlas"
    try:
        share = atlas.percentile(unit.layer, unit.channel, unit.activation) / 100
    except LayerError:
        return ""
    if share in (0, 1):
        return f"above {'all' if share else 'none'} of {windows}"
    return f"above {min(share, 0.999):.1%} of {windows}".replace("%", " %")


def strips(
    net: work.Net, layer: str, channel: int, folder: Path, most: int
) -> list[tuple[str, int]]:
    """Sprites of a map's strongest windows, at most so many, and how many frames each has.

    ``folder``: for synthetic clips. An empty sprite stands for one that cannot be had.
    """
    atlas = known()

    def films() -> list[tuple[str, int]]:
        return [_sprite(film) for film in film_strips(atlas, layer, channel)[:most]]

    found = work.kept(("atlas-films", str(atlas.path), layer, channel, most), films)
    return found or _drawn(atlas, net, atlas.top(layer, channel)[:most], folder)


def _drawn(
    atlas: Atlas, net: work.Net, tops: Sequence[TopWindow], folder: Path
) -> list[tuple[str, int]]:
    """The same where there is no film: from the videos, by the network the atlas is of."""
    if differs(net):
        if given():
            return [("", 1)] * len(tops)
        net = work.network("compact")
    made = []
    for number, top in enumerate(tops):
        report(number, len(tops))
        made.append(_window(atlas, net, top, folder))
    return made


def _window(atlas: Atlas, net: work.Net, top: TopWindow, folder: Path) -> tuple[str, int]:
    def make() -> tuple[str, int]:
        of = source(key_of(top), folder)
        if of is None:
            raise ClipError(f"{top.path} is not there")
        with work.CORES:
            return _sprite(draw_window(atlas, net.model, net.spec, top, of.path))

    try:
        return work.kept(("atlas-window", str(atlas.path), top), make)
    except ClipError:
        return "", 1


def _sprite(frames: pictures.Picture) -> tuple[str, int]:
    return pictures.sprite(frames), len(frames)


def name_of(top: TopWindow) -> str:
    """A window's video, for people."""
    path = PurePath(top.path.rstrip("/\\"))
    if not given() and (sample := _shipped().get(path.stem)):
        return sample.title
    return path.parent.name if path.name == "frames" and path.parent.name else path.name


def key_of(top: TopWindow) -> str:
    """The clip's key on the pages."""
    stem = PurePath(top.path).stem
    return stem if not given() and stem in samples.samples() else f"{MARK}{top.sha256[:16]}"


def keys() -> tuple[str, ...]:
    """Of all clips that the atlas shows."""
    return tuple(_windows(str(known().path)))


def source(key: str, folder: Path) -> Source | None:
    """A clip that the atlas shows; None where it is not there, or another file by now.

    ``folder``: for synthetic ones. An atlas may come from anybody and names any path it likes:
    only a file whose bytes it knows is opened.
    """
    top = _windows(str(known().path)).get(key)
    if top is None:
        return None
    if not given():
        stem = PurePath(top.path).stem
        sample = _shipped().get(stem)
        return None if sample is None else samples.stored(key, sample, folder)
    for path in (Path(top.path), known().path.parent / top.path):
        if _is(path, top.sha256):
            return Source(key, path, name_of(top), video_info(path), str(path))
    return None


@functools.lru_cache(maxsize=4)
def _windows(path: str) -> dict[str, TopWindow]:
    """A window of each video, by the key of the clip."""
    atlas = _opened(path)
    tops = (
        top
        for layer in atlas.layers
        for channel in range(layer.channels)
        for top in atlas.top(layer.name, channel)
    )
    return {key_of(top): top for top in tops}


def _is(path: Path, digest: str) -> bool:
    try:
        plain = path.is_file() or path.is_dir()  # no pipe, which would be waited for
        return plain and _digest(path, path.stat().st_mtime_ns) == digest
    except (OSError, ValueError):
        return False


@functools.lru_cache(maxsize=256)
def _digest(path: Path, _changed: int) -> str:
    return sha256(path)


def _shipped() -> dict[str, Sample]:
    """The clips of the shipped atlas by name: samples, and others made by the project."""
    return {**samples.samples(), **more()}


def more() -> dict[str, Sample]:
    """Two synthetic clips of each motion."""
    return {
        f"synthetic-{seed}": Sample(f"Synthetic, {how}", "synthetic", 0, frames=_moving(how, seed))
        for seed, how in enumerate(2 * synthetic.HOWS)
    }


def _moving(how: str, seed: int) -> Callable[[], samples.Picture]:
    def frames() -> samples.Picture:
        return synthetic.sample_clip(
            how=how, seed=seed, frames=FRAMES, size=samples.SIDE, clutter=0.4
        ).frames

    return frames
