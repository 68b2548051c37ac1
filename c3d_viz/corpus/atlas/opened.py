"""An atlas on disk, opened: it may come from anybody, and is checked before it is used."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from torch import nn

from ...arguments import checked
from ...clips import Clip, WindowStream
from ...errors import ExportError, LayerError, VizError
from ...files import read_json
from ...methods import METHODS
from ...nets import InputSpec, ModelSpec
from ...progress import Progress
from ..descriptors import starts_in_source
from ..identity import difference
from ..listener import Listener, peak_of_positions
from ..nearest import Neighbour, check_k, nearest_rows, of_windows
from ..table import parquet_file
from .settings import MAX_STRIDE, MAX_TOP
from .tables import (
    ATLAS,
    INDEX,
    MAPS,
    SCHEMA,
    WINDOWS,
    FeatureMap,
    TopWindow,
    index_schema,
    map_of,
    maps_schema,
    media_file,
    top_of,
)
from .tally import QUANTILES

_MAX_MAPS = 1_000_000  # feature maps of all layers
_MAX_TABLE = 2 << 30  # bytes of a table, unpacked
_MAX_NUMBER = 1 << 53
_MAX_FLOAT = float(np.finfo(np.float32).max)
_Row = TypeVar("_Row")


@dataclass(frozen=True)
class AtlasLayer:
    """A layer of an atlas.

    Attributes:
        name: as in the network.
        channels: number of its feature maps.
        field: (t, h, w) size of the receptive field, not cut at the border; None: the whole clip.
        tiles: pictures beside each other in its videos; see ``c3d_viz.corpus.atlas.draw``.
    """

    name: str
    channels: int
    field: tuple[int, int, int] | None
    tiles: int


@dataclass(frozen=True)
class Atlas:
    """What each feature map of a network answers to, in a corpus of videos. Made by ``open``.

    Attributes:
        path: the folder.
        about: what ``atlas.json`` says: network, input, settings, numbers.
        layers: in order.
    """

    path: Path
    about: dict[str, Any] = field(repr=False)
    layers: tuple[AtlasLayer, ...]
    _tops: dict[tuple[str, int], tuple[TopWindow, ...]] = field(repr=False)
    _maps: dict[tuple[str, int], FeatureMap] = field(repr=False)

    @classmethod
    @checked(ExportError)
    def open(cls, path: str | os.PathLike[str]) -> Atlas:
        """Read an atlas's tables; its windows and videos stay on disk.

        Raises:
            ExportError: there is none, it is damaged, or larger than an atlas can be.
        """
        folder = Path(path)
        about = read_json(folder / ATLAS)
        if about is None:
            raise ExportError(f"{folder} holds no atlas; make one with c3d-viz atlas")
        try:
            if about["schema"] != SCHEMA:
                raise ExportError(f"{folder} is an atlas of another edition; make it again")
            layers = tuple(_layer(entry) for entry in _list(about["layers"], 10_000))
            _demand(_whole(about["windows"]) and _whole(about["videos"]), "numbers")
            _demand(isinstance(about["weights"], str) and isinstance(about["model"], str), "names")
            _demand(isinstance(about["fingerprint"], str), "the network's fingerprint")
            _demand(about["method"] in METHODS, "the method")
            _demand(all(_whole(about["input"][name]) for name in ("frames", "stride")), "input")
            stride = about["stride"]
            _demand(_whole(stride) and 1 <= stride <= MAX_STRIDE, "the windows' stride")
            size = sum(layer.channels for layer in layers)
            _demand(len({layer.name for layer in layers}) == len(layers), "layers' names")
            _demand(size <= _MAX_MAPS, "number of feature maps")
            maps = _read(folder / MAPS, maps_schema(), size, map_of)
            tops = _read(folder / INDEX, index_schema(), size * MAX_TOP, top_of)
            return cls(folder, about, layers, _by_map(layers, tops), _all_maps(layers, maps))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            reason = " ".join(str(error).split())[:100]
            raise ExportError(f"{folder}: the atlas is damaged ({reason}); make it again") from None

    @checked(LayerError)
    def top(self, layer: str, channel: int) -> tuple[TopWindow, ...]:
        """The windows a feature map answers to most, strongest first; none where it never does.

        Raises:
            LayerError: the atlas has no such layer or channel, or they are no name and number.
        """
        return self._tops.get((layer, self.map(layer, channel).channel), ())

    @checked(LayerError)
    def map(self, layer: str, channel: int) -> FeatureMap:
        """What is known of a feature map; errors as ``top``."""
        known = {entry.name: entry.channels for entry in self.layers}
        if layer not in known:
            raise LayerError(f"the atlas has no layer {layer!r}; it has {', '.join(known)}")
        if not 0 <= channel < known[layer]:
            raise LayerError(f"{layer} has channels 0-{known[layer] - 1}, got {channel}")
        return self._maps[layer, channel]

    @checked(LayerError)
    def order(self, layer: str) -> list[int]:
        """The channels of a layer so that those that answer alike are neighbours."""
        channels = range(self.layer(layer).channels)
        return sorted(channels, key=lambda channel: self._maps[layer, channel].place)

    @checked(LayerError)
    def layer(self, name: str) -> AtlasLayer:
        """A layer by name; errors as ``top``."""
        self.map(name, 0)
        return next(layer for layer in self.layers if layer.name == name)

    @checked(VizError)
    def percentile(self, layer: str, channel: int, value: float) -> float:
        """Of how many percent of all windows the peak stays at or below ``value``: 0 to 100.

        Exact to half a percent, and values to 0.2 %.

        Raises:
            LayerError: as ``top``.
            VizError: ``value`` is no finite number.
        """
        quantiles = self.map(layer, channel).quantiles
        asked = np.float32(np.clip(float(value), -_MAX_FLOAT, _MAX_FLOAT))
        place = int(np.searchsorted(quantiles, asked, side="right"))
        if place in (0, len(quantiles)):
            return 100.0 * (place > 0)
        low, high = quantiles[place - 1 : place + 1].astype(float)
        between = (float(asked) - low) / (high - low)
        return float(100 * (QUANTILES[place - 1] + between * (QUANTILES[1] - QUANTILES[0])))

    @checked(VizError)
    def differs(self, model: nn.Module, spec: ModelSpec) -> str:
        """In what a network is another one than the atlas's; an empty string where it is the same.

        Weights, input, code and form of pool5 are compared, no names.
        """
        return difference(self.about, model, spec)

    @checked(LayerError)
    def video(self, layer: str, channel: int) -> Path | None:
        """The H.264 file of a feature map's windows, a row for each; None where there is none.

        Raises:
            LayerError: as ``top``.
            ExportError: a link, or something else than a file, lies in its place.
        """
        number = self.layers.index(self.layer(layer))
        if not self.top(layer, channel):
            return None
        file = self.path / media_file(number, channel)
        if any(place.is_symlink() for place in (file, file.parent, file.parent.parent)):
            raise ExportError(f"{file} is a link; an atlas has none, make it again")
        return file if file.is_file() else None

    @checked(VizError)
    def search(
        self,
        model: nn.Module,
        clip: Clip | str | os.PathLike[str],
        layer: str | None = None,
        k: int = 9,
        *,
        spec: ModelSpec | InputSpec,
        progress: Progress | None = None,
    ) -> list[Neighbour]:
        """The k windows of the corpus nearest to a clip, by the peaks of a layer's feature maps.

        Exact: every window is compared, by cosine, with every window of the clip, which is cut as
        the corpus was, ``stride`` frames apart; a window of the corpus counts by the one that is
        most like it. A Clip of every n-th frame is cut every ``stride`` // n of them, or all.

        Args:
            model, spec: the network the atlas was made with.
            layer: one of the atlas's; the last by default.
            progress: called with windows of the clip done, their number, and its name.

        Raises:
            LayerError: as ``top``.
            ClipError: the clip cannot be read or is shorter than a window.
            ExportError: the windows' file is missing or damaged.
            ShapeError: it does not fit; the layer answers zero to the whole clip.
            VizError: k out of range.
        """
        check_k(k)
        name = self.layers[-1].name if layer is None else layer
        width = self.layer(name).channels
        before = self.layers[: self.layers.index(self.layer(name))]
        first = sum(entry.channels for entry in before)
        listener = Listener(model, spec, [name], 8, peak_of_positions)
        takes = listener.input
        apart = self.about["stride"]
        if isinstance(clip, Clip):  # it has every n-th frame alone
            apart = max(1, apart // takes.stride)
        stream = WindowStream(clip, takes, apart)
        rows = listener.all_vectors(stream, progress)
        size = sum(entry.channels for entry in self.layers)
        found = nearest_rows(self.path / WINDOWS, rows, k, size, slice(first, first + width))
        return of_windows(found, starts_in_source(clip, stream))


def _layer(entry: Any) -> AtlasLayer:
    name, channels, size = entry["layer"], entry["channels"], entry["field"]
    _demand(isinstance(name, str) and 0 < len(name) < 1000 and name.isprintable(), "a layer's name")
    _demand(_whole(channels) and 1 <= channels <= _MAX_MAPS, "a layer's channels")
    _demand(size is None or (len(_list(size, 3)) == 3 and all(map(_whole, size))), "a field")
    _demand(entry["tiles"] in (2, 3), "number of tiles")
    return AtlasLayer(name, channels, None if size is None else tuple(size), entry["tiles"])


def _by_map(
    layers: Sequence[AtlasLayer], tops: Sequence[TopWindow]
) -> dict[tuple[str, int], tuple[TopWindow, ...]]:
    channels = {layer.name: layer.channels for layer in layers}
    made: dict[tuple[str, int], list[TopWindow]] = {}
    for top in tops:
        listed = made.setdefault((top.layer, top.channel), [])
        numbers = (top.start, *top.at, *top.frames, *top.rows, *top.columns)
        _demand(0 <= top.channel < channels.get(top.layer, 0), "a window of no feature map")
        _demand(top.rank == len(listed) < MAX_TOP, "ranks of windows")
        _demand(all(0 <= n < _MAX_NUMBER for n in numbers), "a window's numbers")
        _demand(np.isfinite(top.value) and len(top.path) < 70_000, "a window's value")
        listed.append(top)
    return {place: tuple(listed) for place, listed in made.items()}


def _all_maps(
    layers: Sequence[AtlasLayer], maps: Sequence[FeatureMap]
) -> dict[tuple[str, int], FeatureMap]:
    made = {(known.layer, known.channel): known for known in maps}
    wanted = {(layer.name, channel) for layer in layers for channel in range(layer.channels)}
    _demand(len(maps) == len(wanted) and made.keys() == wanted, "feature maps")
    for layer in layers:
        places = sorted(made[layer.name, channel].place for channel in range(layer.channels))
        _demand(places == list(range(layer.channels)), "order of the feature maps")
    for known in maps:
        steps = np.diff(known.quantiles)
        _demand(np.isfinite(known.quantiles).all() and (steps >= 0).all(), "quantiles")
        near = all((known.layer, channel) in wanted for channel, _ in known.alike)
        _demand(near and len(known.alike) <= 100, "likenesses")
    return made


def _read(path: Path, schema: Any, most: int, make: Callable[[Any], _Row]) -> list[_Row]:
    """The rows of a small table whose size and columns are as they must be."""
    with parquet_file(path) as stored:
        _demand(stored.schema_arrow.remove_metadata().equals(schema), f"columns of {path.name}")
        groups = [stored.metadata.row_group(i) for i in range(stored.num_row_groups)]
        unpacked = sum(group.total_byte_size for group in groups)
        _demand(stored.metadata.num_rows <= most, f"rows of {path.name}")
        _demand(unpacked <= _MAX_TABLE, f"size of {path.name}")
        return [make(row) for batch in stored.iter_batches(4096) for row in batch.to_pylist()]


def _list(value: Any, most: int) -> list[Any]:
    _demand(isinstance(value, list) and len(value) <= most, "a list")
    return list(value)


def _whole(value: object) -> bool:
    return type(value) is int and abs(value) < _MAX_NUMBER


def _demand(holds: object, reason: str) -> None:
    if not holds:
        raise ValueError(reason)
