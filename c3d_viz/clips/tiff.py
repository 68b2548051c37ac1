"""What the numbers of a TIFF file are: Pillow reads few of the kinds, some wrongly."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from PIL import TiffImagePlugin

_BITS, _CHANNELS, _PLANES, _KIND = 258, 277, 284, 339  # tags
_BIG = (b"+\0", b"\0+")  # BigTIFF has a header of 16 bytes
_KINDS = {1: "integers", 2: "signed integers", 3: "floating-point numbers"}


class Samples(NamedTuple):
    """The numbers of a picture."""

    bits: int
    channels: int
    kind: int  # key of _KINDS
    planar: bool  # one channel after the other, not pixel by pixel

    @property
    def misread(self) -> bool:
        """Whether Pillow opens such a file and may give other values than it holds."""
        wide = self.bits > 16 and self.kind != 3
        return self.kind == 2 or wide or (self.planar and self.bits > 8)

    def __str__(self) -> str:
        channels = "one channel" if self.channels == 1 else f"{self.channels} channels"
        kind = _KINDS.get(self.kind, "numbers of another kind")
        return f"{channels} of {self.bits}-bit {kind}" + ", plane by plane" * self.planar


def samples_of(path: Path) -> Samples | None:
    """The numbers of a TIFF file's first picture; None for another file, or a damaged one."""
    with path.open("rb") as file:
        head = file.read(16)
        if head[:2] not in (b"II", b"MM") or head[2:4] not in (b"*\0", b"\0*", *_BIG):
            return None
        try:
            tags: Any = TiffImagePlugin.ImageFileDirectory_v2(
                head if head[2:4] in _BIG else head[:8]
            )
            file.seek(tags.next)
            tags.load(file)
            channels, planar = int(tags.get(_CHANNELS, 1)), tags.get(_PLANES, 1) == 2
            return Samples(int(tags[_BITS][0]), channels, int(tags.get(_KIND, (1,))[0]), planar)
        except Exception:  # whatever a damaged directory makes Pillow say
            return None
