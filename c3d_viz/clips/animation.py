"""An animated WebP file as a source of frames: ffmpeg shows its first picture at best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from .folder import opened_picture, rgb_of
from .frame import SourceFrame
from .opening import FALLBACK_FPS, PathLike, shown
from .video import VideoInfo


def is_webp(path: Path) -> bool:
    """Whether the file begins as WebP does, whatever its name says."""
    with path.open("rb") as file:
        head = file.read(12)
    return head[:4] == b"RIFF" and head[8:] == b"WEBP"


class WebPFile:
    """Pictures of one WebP file, one or many, by number. Transparency is dropped, as in a GIF.

    Raises (from each method):
        ClipError: the file is damaged, or its pictures are too large.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        self.label = shown(path)

    def info(self) -> VideoInfo:
        """Number and size of the pictures. Decodes one."""
        with opened_picture(self.path, self.label) as picture:
            height, width = rgb_of(picture, self.label).shape[:2]
            count = int(getattr(picture, "n_frames", 1))
        fps = self.about()[0]
        return VideoInfo(count, fps, width, height, count / fps)

    def about(self) -> tuple[float, tuple[str, ...]]:
        """Pictures a second on average, 25 where the file states no time; no notes."""
        times = []
        with self.path.open("rb") as file:
            file.seek(12)
            while len(chunk := file.read(8)) == 8:
                end = file.tell() + (size := int.from_bytes(chunk[4:], "little")) + size % 2
                if chunk[:4] == b"ANMF":  # x, y, width, height and duration, three bytes each
                    times.append(int.from_bytes(file.read(15)[12:], "little"))
                file.seek(end)
        return (1000 * len(times) / sum(times) if sum(times) else FALLBACK_FPS), ()

    def keyframes(self) -> None:
        """None: pictures are drawn over those before, from the first on."""

    def frames(
        self, numbers: Sequence[int], *, skip_damaged: bool = False
    ) -> Iterator[SourceFrame]:
        """Yield a SourceFrame for each of the ascending numbers; ends with the file.

        With ``skip_damaged`` it ends before the first picture that is damaged.
        """
        with opened_picture(self.path, self.label) as picture:
            for number in numbers:
                if number >= getattr(picture, "n_frames", 1):
                    return
                try:
                    picture.seek(number)
                    frame = rgb_of(picture, self.label)
                except (OSError, EOFError):
                    if skip_damaged:  # later pictures are drawn over this one
                        return
                    raise
                yield SourceFrame(number, frame)
