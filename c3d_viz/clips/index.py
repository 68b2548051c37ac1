"""Which frames a video has: their number and time stamps, from its packets wherever those tell.

A packet need not become a frame: an edit list hides it, VP8 keeps some for reference only, a
recording that starts between two keyframes holds some that nothing can be decoded from. So the
first packets are decoded and compared with what comes out, and where packets do not tell, the
whole file is decoded once.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer

from .opening import no_frames, opened

if TYPE_CHECKING:
    Packet = av.Packet[Any]

# One packet is one frame in these codecs, and a keyframe owes nothing to what came before.
_COUNTABLE = {"h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mjpeg", "prores", "gif", "ffv1"}
_ONE_EACH = {"mp4", "matroska"}  # containers whose packets are whole frames, fields joined
_REORDERED = 16  # frames at most that come in the file before one that is shown before them
_HEAD = 24  # packets behind the first keyframe that are compared with what a decoder makes of them


@dataclass(frozen=True)
class Index:
    """Frames of one stream, in order of display, as its packets number them.

    Attributes:
        count: frames that a decoder delivers; a damaged one among them keeps its number.
        exact: decoding from a keyframe on gives the frames that decoding from the start gives.
        cut: the file ends before what it states.
        pts: a time stamp for each frame; empty where they do not tell frames apart.
        keys: numbers of the keyframes.
        key_dts: decoding time stamp of each.
    """

    count: int
    exact: bool
    cut: bool
    pts: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]
    key_dts: npt.NDArray[np.int64]

    def number(self, pts: int | None) -> int | None:
        """The frame with this time stamp, or None."""
        at = len(self.pts) if pts is None else int(np.searchsorted(self.pts, pts))
        return at if at < len(self.pts) and self.pts[at] == pts else None


_Row = tuple[int | None, int | None, bool]  # pts, dts, keyframe


def becomes_frame(packet: Packet, codec: str) -> bool:
    """Whether a decoder shows what it makes of this packet, as far as the packet says."""
    if not packet.size or packet.is_discard:
        return False
    return codec != "vp8" or bool(memoryview(packet)[0] & 0x10)  # show_frame, RFC 6386, 9.1


def packets(container: InputContainer, stream: av.VideoStream) -> Iterator[Packet]:
    """The stream's packets, ended by an empty one, which empties the decoder.

    A file that is cut ends without an error.
    """
    try:
        yield from container.demux(stream)
    except av.FFmpegError:
        yield av.Packet()


def index_of(path: Path, label: str) -> Index:
    """The file's Index, kept while the file does not change. Reads all of it, decodes little."""
    stat = path.stat()
    return _cached_index(str(path.absolute()), label, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _cached_index(path: str, label: str, size: int, mtime: int) -> Index:
    rows: list[_Row] = []
    final: Packet | None = None
    with opened(Path(path), label) as (container, stream):
        codec = stream.codec_context.name
        hides = codec == "vp8"
        for packet in packets(container, stream):  # a long file has many: nothing dear in here
            if packet.size:
                final = packet
                if not packet.is_discard and not (hides and not becomes_frame(packet, codec)):
                    rows.append((packet.pts, packet.dts, packet.is_keyframe))
        kinds = set(container.format.name.split(","))
        torn = final is not None and final.is_corrupt
        cut = torn or ("mp4" in kinds and _stops_short(stream, rows))
        one_each = codec in _COUNTABLE and bool(_ONE_EACH & kinds)
    if torn and rows:
        rows.pop()  # half a frame at the end of a file that was cut
    return _numbered(Path(path), label, rows, codec, one_each, cut)


def _stops_short(stream: av.VideoStream, rows: list[_Row]) -> bool:
    length = stream.duration or 0
    each = length / max(1, len(rows))
    last = max((pts for pts, _, _ in rows if pts is not None), default=0)
    return (stream.start_time or 0) + length - last > 2.5 * each


def _numbered(
    path: Path, label: str, rows: list[_Row], codec: str, one_each: bool, cut: bool
) -> Index:
    none = np.zeros(0, dtype=np.int64)
    stamped = bool(rows) and all(pts is not None and dts is not None for pts, dts, _ in rows)
    pts = np.array([row[0] for row in rows] if stamped else [], dtype=np.int64)
    order = np.argsort(pts, kind="stable")
    ordered = pts[order]
    stamped = stamped and bool(np.all(np.diff(ordered) > 0))
    whole_start = stamped and rows[0][2] and order[0] == 0
    leading = 0 if one_each and whole_start else _leading(path, label, rows, codec)
    if leading is None:
        return Index(_decoded(path, label), False, cut, none, none, none)
    if not stamped:
        return Index(len(rows) - leading, False, cut, none, none, none)
    end = _before_gap(ordered) if cut else len(ordered)
    key = np.array([row[2] for row in rows])[order][leading:end]
    dts = np.array([row[1] for row in rows], dtype=np.int64)[order][leading:end]
    keys = np.flatnonzero(key).astype(np.int64)
    # Frames before the first keyframe would be dropped by some decoders, kept by others.
    exact = codec in _COUNTABLE and len(keys) > 0 and keys[0] == 0
    return Index(len(key), bool(exact), cut, ordered[leading:end], keys, dts[keys])


def _before_gap(pts: npt.NDArray[np.int64]) -> int:
    """How many frames of a file that is cut stand before those whose neighbours were cut off."""
    steps = np.diff(pts[-_REORDERED:])
    gaps = np.flatnonzero(steps > 1.5 * np.median(steps)) if len(steps) else steps
    return len(pts) if not len(gaps) else len(pts) - len(steps) + int(gaps[0])


def _leading(path: Path, label: str, rows: list[_Row], codec: str) -> int | None:
    """How many of the first frames no decoder delivers; None where packets are not frames."""
    first = next((i for i, row in enumerate(rows) if row[2]), None)
    if first is None:
        return None
    sent = rows[: first + _HEAD]
    got: list[int | None] = []
    with opened(path, label, threads=1) as (container, stream):
        left = len(sent)
        for packet in packets(container, stream):
            left -= becomes_frame(packet, codec)
            try:
                got += [frame.pts for frame in stream.decode(packet)]
            except av.FFmpegError:
                if got:  # a damaged frame is one all the same
                    got.append(packet.pts)
            if left <= 0:
                break
        if packet.size:
            got += [frame.pts for frame in stream.decode(None)]
    if len(got) == len(sent):
        return 0
    stamps = sorted(pts for pts, _, _ in sent if pts is not None)
    lost = len(sent) - len(got)
    known = sorted(pts for pts in got if pts is not None)
    return lost if len(stamps) == len(sent) and known and known == stamps[lost:] else None


def _decoded(path: Path, label: str) -> int:
    """Frames that come out when all of the file is decoded; damaged ones count."""
    count = 0
    with opened(path, label) as (container, stream):
        for packet in packets(container, stream):
            try:
                count += len(stream.decode(packet))
            except av.FFmpegError:
                count += count > 0
    return count


def first_frame(
    container: InputContainer, stream: av.VideoStream, label: str
) -> tuple[av.VideoFrame, int | None]:
    """The first frame, and how many there are if an mp4's header tells and its ends agree.

    That spares reading all of a file of many gigabytes.
    """
    codec = stream.codec_context.name
    head: list[Packet] = []
    frame: av.VideoFrame | None = None
    for packet in packets(container, stream):
        head.append(packet)
        if frame is None:
            try:
                frame = next(iter(stream.decode(packet)), None)
            except av.FFmpegError:
                continue  # another one may do
        elif len(head) >= _HEAD:
            break
    if frame is None:
        raise no_frames(label)
    shown = [p.pts for p in head if becomes_frame(p, codec) and p.pts is not None]
    fits = (
        {"mp4"} & set(container.format.name.split(","))
        and codec in _COUNTABLE
        and len(shown) == sum(p.size > 0 for p in head)
        and head[0].is_keyframe
        and min(shown) == head[0].pts
        and _reaches_its_end(container, stream)
    )
    return frame, stream.frames if fits else None


def _reaches_its_end(container: InputContainer, stream: av.VideoStream) -> bool:
    """Whether an mp4 has as many frames as its rate and duration ask, and the last can be read."""
    rate, unit, length = stream.average_rate, stream.time_base, stream.duration
    if not (rate and unit and length and stream.frames):
        return False
    if abs(float(length * unit * rate) - stream.frames) > 0.5:  # an edit list hides some
        return False
    end = (stream.start_time or 0) + length
    container.seek(end, stream=stream)
    tail = [p for p in packets(container, stream) if p.size]
    if not tail or any(p.is_corrupt or p.pts is None for p in tail):
        return False
    last = max(p.pts + (p.duration or 0) for p in tail if p.pts is not None)
    return abs(last - end) <= 1.5 * length / stream.frames


def keyframe_before(index: Index | None, number: int) -> tuple[int, int] | None:
    """Number and decoding time stamp of the last keyframe at or before ``number``."""
    if index is None:
        return None
    at = int(np.searchsorted(index.keys, number, side="right")) - 1
    return None if at < 0 else (int(index.keys[at]), int(index.key_dts[at]))
