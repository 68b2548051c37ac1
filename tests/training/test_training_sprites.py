"""Training: cut-outs and backgrounds out of unpacked packages."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from c3d_viz.errors import ClipError
from c3d_viz.synthetic.library import split_of
from c3d_viz.training import sprites


def test_cut_outs_are_trimmed_and_the_unfit_refused() -> None:
    image = np.zeros((400, 400, 4), np.uint8)
    cv2.circle(image, (200, 200), 128, (10, 20, 30, 255), -1)
    cut = sprites.cut_out(image)
    assert cut is not None
    assert cut.shape == (128, 128, 4)
    assert cut[64, 64].tolist() == [10, 20, 30, 255]
    assert cut[0, 0, 3] == 0
    assert sprites.cut_out(np.full((90, 90, 4), 255, np.uint8)) is None  # an opaque rectangle
    assert sprites.cut_out(np.full((90, 90, 3), 255, np.uint8)) is None  # no alpha
    thin = np.zeros((200, 200, 4), np.uint8)
    thin[:, 80:110] = 255
    thin[::3] = 0
    assert sprites.cut_out(thin) is None  # longer than 4 to 1


def test_sprites_from_unpacked_packages(tmp_path: Path) -> None:
    share = tmp_path / "unpacked" / "usr" / "share"
    image = np.zeros((100, 60, 4), np.uint8)
    cv2.ellipse(image, (30, 50), (25, 45), 0, 0, 360, (1, 2, 3, 255), -1)
    for folder in ("tuxpaint/stamps/animals/birds", "openclipart/png/food/fruit"):
        (share / folder).mkdir(parents=True)
        cv2.imwrite(str(share / folder / "Big Thing.png"), image)
    for folder in ("mate/nature", "mate/abstract"):
        (share / "backgrounds" / folder).mkdir(parents=True)
        cv2.imwrite(
            str(share / "backgrounds" / folder / "Wood.jpg"), np.zeros((900, 1600, 3), np.uint8)
        )
    lines = list(sprites.prepare(tmp_path / "unpacked", tmp_path / "out"))
    assert lines == [
        "stamp: 1 animal",
        "clipart: 1 food",
        "emoji: not found",
        "extra-emojione: not found",
        "backgrounds: 1",
    ]
    assert (tmp_path / "out/sprites/animal/stamp-big-thing.png").is_file()
    made = cv2.imread(str(tmp_path / "out/backgrounds/mate-Wood.jpg"))
    assert made.shape == (720, 1280, 3)
    with pytest.raises(ClipError, match="dpkg-deb -x"):
        list(sprites.prepare(tmp_path / "nowhere", tmp_path / "out"))


def test_extra_pictures_only_train(tmp_path: Path) -> None:
    """A second drawing of a held-out emoji would tell what the test asks."""
    share = tmp_path / "unpacked" / "usr" / "share"
    listed = [f"animal {chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(60)]
    (share / "unicode" / "emoji").mkdir(parents=True)
    (share / "unicode" / "emoji" / "emoji-test.txt").write_text(
        "# group: Animals & Nature\n# subgroup: animal-mammal\n"
        + "".join(
            f"{0x1F400 + i:X} ; fully-qualified # x E1.0 {title}\n"
            for i, title in enumerate(listed)
        )
        + "1F9D1 200D 1F373 ; fully-qualified # x E1.0 a sequence\n"
    )
    drawings = share / "rubygems-integration/all/gems/gemojione-3.3.0/assets/png"
    drawings.mkdir(parents=True)
    image = np.zeros((64, 64, 4), np.uint8)
    cv2.circle(image, (32, 32), 30, (1, 2, 3, 255), -1)
    for i in range(59):  # the last has no drawing
        cv2.imwrite(str(drawings / f"{0x1F400 + i:X}.png"), image)
    for name, sizes in (
        ("Hill/contents/images", (300, 900)),
        ("Hill/contents/images_dark", (900,)),
    ):
        (share / "wallpapers" / name).mkdir(parents=True)
        for height in sizes:
            cv2.imwrite(
                str(share / "wallpapers" / name / f"{height * 2}x{height}.png"),
                np.zeros((height, height * 2, 3), np.uint8),
            )
    lines = list(sprites.prepare(tmp_path / "unpacked", tmp_path / "out"))
    train = [t for t in listed[:59] if split_of(f"emoji-{t.replace(' ', '-')}.png") == "train"]
    assert 30 < len(train) < 59
    assert lines[3] == f"extra-emojione: {len(train)} animal"
    made = sorted(p.name for p in (tmp_path / "out/sprites/animal").iterdir())
    assert made == [f"extra-emojione-{t.replace(' ', '-')}.png" for t in train]
    assert {split_of(name) for name in made} == {"train"}
    walls = sorted(p.name for p in (tmp_path / "out/backgrounds").iterdir())
    assert walls == ["extra-plasma-Hill-dark.jpg", "extra-plasma-Hill.jpg"]
    assert cv2.imread(str(tmp_path / "out/backgrounds/extra-plasma-Hill.jpg")).shape[0] == 720
