"""Which files are taken for clips: the one list of suffixes, and how such files begin."""

from __future__ import annotations

# What ffmpeg's containers are called, and GIF and WebP, which may hold a film too.
VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts",
    ".wmv", ".asf", ".flv", ".3gp", ".3g2", ".ogv", ".gif", ".webp",
)  # fmt: skip
# Pictures that make a frame folder.
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")

_ATOMS = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"pnot")  # mp4, mov, 3gp
_STARTS = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"GIF87a",
    b"GIF89a",
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # bare MPEG-1 and 2
    b"\x30\x26\xb2\x75",  # ASF, WMV
    b"FLV\x01",
    b"OggS",
)


def begins_like_video(head: bytes) -> bool:
    """Whether a file that begins with ``head`` (200 bytes or more) can be one of VIDEO_SUFFIXES."""
    return (
        head.startswith(_STARTS)
        or head[4:8] in _ATOMS
        or (head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"WEBP"))
        or (len(head) > 188 and head[0] == head[188] == 0x47)  # transport stream
        or (len(head) > 196 and head[4] == head[196] == 0x47)  # the same with time stamps: m2ts
    )
