"""Cut-outs and backgrounds for training, made from Debian packages.

    apt-get download tuxpaint-stamps-default openclipart-png fonts-noto-color-emoji unicode-data \\
        gnome-backgrounds mate-backgrounds lomiri-wallpapers-16.04 lomiri-wallpapers-20.04 \\
        ukui-wallpapers ruby-gemojione plasma-workspace-wallpapers
    for deb in *.deb; do dpkg-deb -x "$deb" unpacked; done
    python -m c3d_viz.training sprites unpacked data

The first two hold pictures with transparency, sorted by subject; the emoji font holds bitmaps that
unicode-data's list sorts into groups. The photographs below ``usr/share/backgrounds``
become backgrounds. The last two packages add to the training split alone (their names begin with
"extra-"): the same emoji as drawn by EmojiOne, where the first font's drawing is not held out, and
Plasma's wallpapers.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import ClipError
from ..synthetic import WHATS, split_of

LONGEST = 128  # side of a stored cut-out
SHORT_SIDE = 720  # of a stored background
Image = npt.NDArray[np.uint8]

STAMPS = {
    "animal": ("animals",),
    "food": ("food",),
    "plant": ("plants",),
    "vehicle": ("vehicles", "military/vehicles"),
    "object": ("household", "hobbies", "clothes", "sports"),
    "person": ("people",),
}
CLIPART = {
    "animal": ("animals",),
    "food": ("food/fruit", "food/desserts", "food/meats_and_eggs", "food/vegetables",
             "food/breads_and_carbs", "food/beverages"),
    "plant": ("plants",),
    "vehicle": ("transportation/vehicles", "transportation/boating", "transportation/aircraft",
                "transportation/airplanes", "transportation/trains"),
    "object": ("people/clothing", "recreation/music", "recreation/toys", "tools",
               "buildings/furniture", "office/telephone", "education/books",
               "recreation/sports"),
    "person": ("people/smilies", "people/stickmen", "people/bodypart", "people/men",
               "people/women", "people/children", "people/faces"),
}  # fmt: skip
# (group, start of the subgroup) of emoji-test.txt; the first that fits counts
EMOJI = (
    ("Animals & Nature", "animal", "animal"),
    ("Animals & Nature", "plant", "plant"),
    ("Food & Drink", "", "food"),
    ("Travel & Places", "transport", "vehicle"),
    ("Objects", "", "object"),
    ("Activities", "sport", "object"),
    ("Activities", "game", "object"),
    ("Smileys & Emotion", "face", "person"),
    ("Smileys & Emotion", "cat-face", "animal"),
    ("Smileys & Emotion", "monkey", "animal"),
    ("People & Body", "person", "person"),
)


def prepare(packages: Path, out: Path) -> Iterator[str]:
    """Fill ``out/sprites/<what>/`` and ``out/backgrounds/``; yields one line per source.

    Args:
        packages: folder the packages were unpacked into (it contains ``usr``).
        out: folder to fill; files of the same name are replaced.

    Raises:
        ClipError: no package is found there.
    """
    share = packages / "usr" / "share"
    if not share.is_dir():
        raise ClipError(f"no {share}; unpack the packages with dpkg-deb -x into {packages} first")
    for what in WHATS:
        (out / "sprites" / what).mkdir(parents=True, exist_ok=True)
    sources = {
        "stamp": _pictures(share / "tuxpaint" / "stamps", STAMPS),
        "clipart": _pictures(share / "openclipart" / "png", CLIPART),
        "emoji": _emoji(share),
        "extra-emojione": _emoji_one(share),
    }
    for source, pictures in sources.items():
        counts: Counter[str] = Counter()
        for what, name, picture in pictures:
            cut = cut_out(picture)
            if cut is not None:
                path = out / "sprites" / what / _file_name(source, name)
                cv2.imwrite(str(path), cut, [cv2.IMWRITE_PNG_COMPRESSION, 9])
                counts[what] += 1
        yield f"{source}: " + (", ".join(f"{n} {w}" for w, n in counts.items()) or "not found")
    yield f"backgrounds: {_backgrounds(share, out / 'backgrounds')}"


def _file_name(source: str, name: str) -> str:
    return f"{source}-{re.sub('[^a-z0-9]+', '-', name.lower())[:40]}.png"


def cut_out(image: Image | None) -> Image | None:
    """Trim a BGRA picture to its opaque part and shrink it to 128 pixels; None if unfit.

    Unfit: no alpha channel, almost empty, smaller than 24 pixels, longer than 4 to 1, or an
    opaque rectangle.
    """
    if image is None or image.ndim != 3 or image.shape[2] != 4:
        return None
    opaque = image[..., 3] > 16
    if opaque.mean() < 0.03:
        return None
    rows, columns = np.flatnonzero(opaque.any(1)), np.flatnonzero(opaque.any(0))
    image = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = image.shape[:2]
    if min(height, width) < 24 or max(height, width) > 4 * min(height, width):
        return None
    if (image[..., 3] > 16).mean() > 0.985:
        return None
    scale = LONGEST / max(height, width)
    if scale < 1:
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        image = np.asarray(small, np.uint8)
    return image


def _pictures(
    root: Path, folders: dict[str, tuple[str, ...]]
) -> Iterator[tuple[str, str, Image | None]]:
    for what, names in folders.items():
        for name in names:
            for path in sorted((root / name).rglob("*.png")):
                yield what, path.stem, _image(path.read_bytes())


def _image(data: bytes) -> Image | None:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return None if image is None else np.asarray(image, np.uint8)


def _emoji(share: Path) -> Iterator[tuple[str, str, Image | None]]:
    font_file = share / "fonts" / "truetype" / "noto" / "NotoColorEmoji.ttf"
    if not font_file.is_file():
        return
    try:
        from fontTools.ttLib import TTFont
    except ImportError:
        raise ClipError(
            "reading the emoji font needs fonttools: pip install 'c3d-viz[train]'"
        ) from None
    font = TTFont(io.BytesIO(font_file.read_bytes()))
    names, bitmaps = font.getBestCmap(), font["CBDT"].strikeData[0]
    for what, title, point in _emoji_list(share):
        glyph = names.get(point)
        if glyph in bitmaps:
            yield what, title, _image(bitmaps[glyph].imageData)


def _emoji_one(share: Path) -> Iterator[tuple[str, str, Image | None]]:
    """EmojiOne's drawings of what the first font's training split shows, never of the others."""
    gems = share / "rubygems-integration" / "all" / "gems"
    folder = next(iter(sorted(gems.glob("gemojione-*/assets/png"))), None)
    if folder is None:
        return
    for what, title, point in _emoji_list(share):
        path = folder / f"{point:04X}.png"
        if path.is_file() and split_of(_file_name("emoji", title)) == "train":
            yield what, title, _image(path.read_bytes())


def _emoji_list(share: Path) -> Iterator[tuple[str, str, int]]:
    """(kind, title, code point) of every emoji of one code point that shows one of the kinds."""
    list_file = share / "unicode" / "emoji" / "emoji-test.txt"
    if not list_file.is_file():
        return
    group = subgroup = ""
    for line in list_file.read_text(encoding="utf-8").splitlines():
        if line.startswith("# group:"):
            group = line.split(":", 1)[1].strip()
        elif line.startswith("# subgroup:"):
            subgroup = line.split(":", 1)[1].strip()
        elif "; fully-qualified" in line:
            points = [p for p in line.split(";")[0].split() if p != "FE0F"]
            what = next((w for g, s, w in EMOJI if g == group and subgroup.startswith(s)), None)
            if what is not None and len(points) == 1:
                # "... # <emoji> E1.0 grinning face"
                yield what, line.split("#", 1)[1].split(maxsplit=2)[-1], int(points[0], 16)


def _backgrounds(share: Path, out: Path) -> int:
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for path, name in _background_files(share):
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None or min(image.shape[:2]) < 200:
            continue
        scale = SHORT_SIDE / min(image.shape[:2])
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(image, size, interpolation=how)
        count += cv2.imwrite(str(out / f"{name}.jpg"), small, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return count


def _background_files(share: Path) -> Iterator[tuple[Path, str]]:
    root = share / "backgrounds"
    for path in sorted(root.rglob("*")):
        name = background_name(path.relative_to(root))
        if name is not None:
            yield path, name
    for folder in sorted((share / "wallpapers").glob("*/contents/images*")):
        # one picture in several sizes; the last name is wide, and dark forms are pictures too
        for path in sorted(p for p in folder.iterdir() if p.suffix in (".jpg", ".png"))[-1:]:
            night = "-dark" if folder.name.endswith("dark") else ""
            yield path, f"extra-plasma-{folder.parent.parent.name}{night}"


def background_name(path: Path) -> str | None:
    """Name of a background by its path below ``usr/share/backgrounds``; None: leave it out.

    The name starts with the package, for a split depends on the name. mate-backgrounds also has
    drawings; only its photographs (``mate/nature``) are taken.
    """
    if path.suffix.lower() not in (".jpg", ".jpeg", ".png", ".webp"):
        return None
    folder = path.parts[:-1]
    if folder[:1] == ("mate",) and folder[1:] != ("nature",):
        return None
    # lomiri and ukui share one folder; lomiri's files name their authors
    source = folder[0] if folder else "lomiri" if "_by_" in path.stem else "ukui"
    return f"{source}-{path.stem}"
