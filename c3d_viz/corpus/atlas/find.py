"""Which windows win, the yardsticks and likenesses: from the table of all windows in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..pieces import Video
from ..table import parquet_file, rows_of
from .draw import Drawing, Drawn, Place
from .settings import AtlasSettings
from .tables import ALIKE, FeatureMap, TopWindow
from .tally import Likeness, Winners, Yardstick, order_of

_START = 1 << 32  # a window's number is its video's times this, plus its first frame


@dataclass
class Found:
    """What the table of windows says.

    Attributes:
        drawn: by SHA-256 of the video, then first frame and place; filled as they are drawn.
    """

    videos: Sequence[Video]
    winners: Winners
    yardstick: Yardstick
    likeness: Likeness
    drawn: dict[str, dict[tuple[int, Place], Drawn]] = field(default_factory=dict)

    def drawings(self, columns: Sequence[Place]) -> list[Drawing]:
        """What is to be drawn, a task for each video."""
        wanted: dict[int, dict[int, list[Place]]] = {}
        for column, place in enumerate(columns):
            for number, _ in self.winners.of(column):
                video, start = divmod(number, _START)
                wanted.setdefault(video, {}).setdefault(start, []).append(place)
        chosen = ((self.videos[video], wanted[video]) for video in sorted(wanted))
        return [Drawing(video.path, video.sha256, windows) for video, windows in chosen]

    def tops(
        self, layers: Sequence[str], columns: Sequence[Place], paths: Sequence[str]
    ) -> list[TopWindow]:
        """The windows that win, by layer, channel and rank; ``paths`` are the videos' as text."""
        made = []
        for column, (layer, channel) in enumerate(columns):
            for rank, (number, value) in enumerate(self.winners.of(column)):
                video, start = divmod(number, _START)
                sha256 = self.videos[video].sha256
                drawn = self.drawn[sha256][start, (layer, channel)]
                a, b, c, d, e, f = drawn.box
                made.append(
                    TopWindow(
                        layers[layer], channel, rank, value, paths[video], sha256, start,
                        drawn.at, (a, b), (c, d), (e, f),
                    )
                )  # fmt: skip
        return made

    def maps(self, layers: Sequence[str], columns: Sequence[Place]) -> list[FeatureMap]:
        """Every feature map, by layer and channel."""
        made: list[FeatureMap] = []
        for number, layer in enumerate(layers):
            likeness = self.likeness.correlation(number)
            places = np.argsort(order_of(likeness)).tolist()
            np.fill_diagonal(likeness, -np.inf)
            nearest = np.argsort(-likeness, axis=1, kind="stable")[:, :ALIKE]
            for channel, near in enumerate(nearest.tolist()):
                alike = tuple((c, float(np.float32(likeness[channel, c]))) for c in near)
                quantiles = self.yardstick.quantiles(len(made))
                alike = tuple((c, r) for c, r in alike if r > 0)
                made.append(FeatureMap(layer, channel, places[channel], quantiles, alike))
        assert len(made) == len(columns)
        return made


def find(
    table: Path, videos: Sequence[Video], channels: Sequence[int], settings: AtlasSettings
) -> Found:
    """Read the peaks of all windows, which lie in the order of the videos.

    Args:
        channels: of each layer, one after the other in every vector.

    Raises:
        ExportError: the table cannot be read.
    """
    size = sum(channels)
    winners = Winners(size, settings.top, settings.per_video)
    told = Found(videos, winners, Yardstick(size), Likeness(channels))
    number = 0
    with parquet_file(table) as stored:
        for batch, peaks in rows_of(stored, table, ["sha256", "start"]):
            starts = batch["start"].to_numpy()
            told.yardstick.add(peaks)
            told.likeness.add(peaks)
            digests = np.array(batch["sha256"].to_pylist())
            cuts = np.flatnonzero(digests[1:] != digests[:-1]) + 1
            for rows in np.split(np.arange(len(digests)), cuts):
                while videos[number].sha256 != digests[rows[0]]:
                    winners.end_video()
                    number += 1
                winners.add(peaks[rows], number * _START + starts[rows])
    winners.end_video()
    return told
