"""Write RGB frames as files that people and browsers open: H.264 mp4, GIF, PNG.

Files appear whole or not at all. The same frames give the same bytes (with the same encoder
builds).
"""

from __future__ import annotations

import io
import os
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from ..arguments import checked
from ..errors import ExportError, ShapeError
from ..files import whole_file, write_bytes

Frames = npt.NDArray[np.uint8]

_BT709 = 1  # the number of BT.709 in every colour tag of H.264
_R, _G, _B = 0.2126, 0.7152, 0.0722  # shares of red, green and blue in BT.709's luma
# RGB 0-255 to Y 16-235 and Cb, Cr 16-240; the last column is added
_TO_YUV = np.array(
    [
        [_R * 219 / 255, _G * 219 / 255, _B * 219 / 255, 16],
        [-_R / (1 - _B) * 112 / 255, -_G / (1 - _B) * 112 / 255, 112 / 255, 128],
        [112 / 255, -_G / (1 - _R) * 112 / 255, -_B / (1 - _R) * 112 / 255, 128],
    ],
    dtype=np.float32,
)
# Each row less the one above, then runs and symbol codes: the size of PNG's usual search for
# repeats in these pages of smooth tiles, in less than half the time.
_PNG = [
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
]
MAX_PIXELS = 300_000_000  # of a video, all frames together: they are encoded in memory
MAX_SIDE = 16_384  # of a frame: H.264's limit
VideoFormat = Literal["mp4", "gif"]


@checked(ShapeError)
def write_video(
    path: str | os.PathLike[str],
    frames: Frames,
    fps: float,
    *,
    scale: int = 1,
    light: bool = False,
) -> None:
    """Write ``frames`` (T, H, W, 3) uint8 RGB to ``path``: .mp4 (H.264) or .gif, by its suffix.

    The mp4 is yuv420p with BT.709 colours, its index in front, so every browser plays it.
    H.264 wants even sizes: an odd last row or column is doubled. A GIF runs for ever and keeps
    times in hundredths of a second, so its speed is the nearest it can have (at most 50 fps).

    Args:
        fps: frames per second shown, above 0.
        scale: whole-number enlargement without smoothing; 112 pixels are small on a screen.
        light: an mp4 of a fifth of the size, in which noise and hard edges blur a little; for
            pages of hundreds of videos.

    Raises:
        ShapeError: frames of another layout, a rate that is not positive, scale below 1, or more
            than MAX_PIXELS or MAX_SIDE after it.
        ExportError: another suffix, or the place cannot be written.
    """
    kind = Path(path).suffix.lower()
    if kind not in (".mp4", ".gif"):
        raise ExportError(f"{path!s}: videos are written as .mp4 or .gif; change the name")
    with whole_file(path) as part:
        if kind == ".mp4":
            _write_mp4(part, frames, fps, scale, light)
        else:
            part.write_bytes(_gif_bytes(frames, fps, scale))


@checked(ShapeError)
def encode_video(frames: Frames, fps: float, *, scale: int = 1, kind: VideoFormat = "mp4") -> bytes:
    """The same as bytes, for a page that embeds the video."""
    if kind == "gif":
        return _gif_bytes(frames, fps, scale)
    with tempfile.TemporaryDirectory() as folder:  # an index in front needs a file to move in
        path = Path(folder) / "video.mp4"
        _write_mp4(path, frames, fps, scale)
        return path.read_bytes()


@checked(ShapeError)
def write_image(path: str | os.PathLike[str], image: Frames) -> None:
    """Write ``image`` (H, W, 3) RGB or (H, W) gray uint8 to a .png file.

    Raises:
        ShapeError: another layout.
        ExportError: another suffix, or the place cannot be written.
    """
    if Path(path).suffix.lower() != ".png":
        raise ExportError(f"{path!s}: pictures are written as .png; change the name")
    write_bytes(path, encode_png(image))


def encode_png(image: Frames) -> bytes:
    """PNG bytes of ``image`` (H, W, 3) RGB or (H, W) gray uint8."""
    fits = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    if image.dtype != np.uint8 or not fits or image.size == 0:
        raise ShapeError(
            f"a picture must be uint8 (H, W, 3) RGB or (H, W) gray, got {image.dtype} {image.shape}"
        )
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    return bytes(cv2.imencode(".png", np.ascontiguousarray(pixels), _PNG)[1])


def _write_mp4(path: Path, frames: Frames, fps: float, scale: int, light: bool = False) -> None:
    frames = _checked(frames, fps, scale)
    # bitexact: no version strings or dates in the file
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        planes = _yuv420(frames, scale)
        height, width = planes.shape[1] * 2 // 3, planes.shape[2]
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1  # the number of threads changes the bytes
        stream.codec_context.color_range = 1  # limited
        stream.codec_context.colorspace = _BT709
        stream.codec_context.color_primaries = _BT709
        stream.codec_context.color_trc = _BT709
        # x264's macroblock tree reads memory it has not written: equal frames, unequal bytes
        x264 = {"x264-params": "mbtree=0"}
        # a slower preset gives a smaller file, not a better picture: the quality is set by crf
        preset, crf = ("veryfast", "26") if light else ("ultrafast", "14")
        stream.options = {"preset": preset, "crf": crf, "flags": "+bitexact", **x264}
        for number, plane in enumerate(planes):
            frame = av.VideoFrame.from_ndarray(plane, format="yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _yuv420(frames: Frames, scale: int) -> Frames:
    """Frames as H.264 takes them, (T, height * 3 / 2, width): Y, then Cb and Cr of half the size.

    Colours are changed before the enlargement: swscale would do it for every enlarged pixel.
    """
    count, rows, columns = frames.shape[:3]
    big = (columns * scale, rows * scale)
    width, height = (big[0] + 1) & ~1, (big[1] + 1) & ~1
    odd = (0, height - big[1], 0, width - big[0])
    pixels = cv2.transform(frames.reshape(-1, columns, 3).astype(np.float32), _TO_YUV)
    small = np.rint(pixels).astype(np.uint8).reshape(count, rows, columns, 3)
    out = np.empty((count, height * 3 // 2, width), dtype=np.uint8)
    halves = (2, height // 2, width // 2)
    for planes, one in zip(out, small, strict=True):
        whole = cv2.resize(one, big, interpolation=cv2.INTER_NEAREST)
        if any(odd):
            whole = cv2.copyMakeBorder(whole, *odd, cv2.BORDER_REPLICATE)
        planes[:height] = whole[..., 0]
        half = cv2.resize(whole, halves[:0:-1], interpolation=cv2.INTER_AREA)
        planes[height:].reshape(halves)[:] = half[..., 1:].transpose(2, 0, 1)
    return out


def _gif_bytes(frames: Frames, fps: float, scale: int) -> bytes:
    frames = _checked(frames, fps, scale)
    pictures = [Image.fromarray(_enlarged(frame, scale)) for frame in frames]
    # One palette a frame, no dither: dither crawls from frame to frame.
    pictures = [
        p.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE) for p in pictures
    ]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer,
        format="gif",
        save_all=True,
        append_images=pictures[1:],
        duration=max(2, round(100 / fps)) * 10,  # ms; browsers slow anything below 20 ms
        loop=0,
        disposal=1,
        optimize=False,
    )
    return buffer.getvalue()


def _enlarged(frame: Frames, scale: int) -> Frames:
    return np.ascontiguousarray(frame.repeat(scale, axis=0).repeat(scale, axis=1))


def _checked(frames: Frames, fps: float, scale: int) -> Frames:
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or not frames.size:
        raise ShapeError(
            f"frames must be uint8 RGB (T, H, W, 3), got {frames.dtype} {frames.shape}"
        )
    if not 0.01 <= fps <= 10_000:  # what both formats can state; NaN is neither
        raise ShapeError(f"fps must be a number above 0, from 0.01 to 10000, got {fps}")
    if scale < 1 or scale != int(scale):
        raise ShapeError(f"scale must be a whole number of at least 1, got {scale}")
    count, height, width = (int(n) for n in frames.shape[:3])
    height, width = height * int(scale), width * int(scale)
    if count * height * width > MAX_PIXELS or max(height, width) > MAX_SIDE:
        raise ShapeError(
            f"{count} frames of {width} x {height} are more than a video may have: at most "
            f"{MAX_PIXELS // 1_000_000} million pixels together and {MAX_SIDE} a side; "
            f"lower scale, or write fewer frames"
        )
    return frames
