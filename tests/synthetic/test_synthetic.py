"""Synthetic clips: the masks and motion vectors are true, and the label says what happens."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from c3d_viz.clips import cropped_frames
from c3d_viz.errors import ClipError
from c3d_viz.nets.spec import COMPACT_INPUT
from c3d_viz.synthetic.generate import (
    SyntheticClip,
    positive_control,
    positive_controls,
    sample_clip,
)
from c3d_viz.synthetic.library import load_library, procedural_library, split_of
from c3d_viz.synthetic.pixels import render
from c3d_viz.synthetic.scene import CLASSES, HOWS, sample_scenes

SEEDS = range(4)


def middles(clip: SyntheticClip) -> npt.NDArray[np.float64]:
    """Centre of mass (x, y) of every mask."""
    return np.array([np.argwhere(m)[:, ::-1].mean(0) for m in clip.masks])


def changed(clip: SyntheticClip) -> npt.NDArray[np.bool_]:
    """(T - 1, H, W), pixels that differ from the frame before."""
    return np.asarray((clip.frames[1:] != clip.frames[:-1]).any(-1))


@pytest.mark.parametrize("how", [h for h in HOWS if h != "still"])
def test_only_the_object_changes_and_it_does(how: str) -> None:
    for seed in SEEDS:
        clip = sample_clip(how=how, seed=seed, onset=1)
        near = np.ones((5, 5), np.uint8)  # alpha fades out over a pixel or two
        for t, diff in enumerate(changed(clip)):
            either = (clip.masks[t] | clip.masks[t + 1]).astype(np.uint8)
            assert not (diff & (cv2.dilate(either, near) == 0)).any()
            uncovered = clip.masks[t] ^ clip.masks[t + 1]
            assert diff[uncovered].mean() > 0.9 if uncovered.any() else True
        assert changed(clip).any((1, 2)).all()


def test_a_still_clip_is_still() -> None:
    clip = sample_clip(how="still", seed=5)
    assert (clip.frames == clip.frames[0]).all()
    assert np.abs(clip.motion).max() < 1e-4
    assert clip.masks[0].sum() > 100


def test_onset_and_offset_are_frame_exact() -> None:
    clip = sample_clip(how="left", seed=1, onset=5, offset=11)
    assert changed(clip).any((1, 2)).tolist() == [5 <= t < 11 for t in range(1, 16)]
    # motion of frame t leads to t + 1, the last frame's comes from the frame before
    moving = [bool(np.abs(clip.motion[t][clip.masks[t]]).max() > 1e-3) for t in range(16)]
    assert moving == [5 <= t + 1 < 11 for t in range(15)] + [False]


@pytest.mark.parametrize(
    ("how", "axis", "sign"), [("left", 0, -1), ("right", 0, 1), ("up", 1, -1), ("down", 1, 1)]
)
def test_translations_move_as_the_label_says(how: str, axis: int, sign: int) -> None:
    for seed in SEEDS:
        clip = sample_clip(how=how, seed=seed, onset=1)
        assert clip.label == f"shape {how}"
        if clip.masks[:, [0, -1]].any() or clip.masks[:, :, [0, -1]].any():
            continue  # cut off by the picture's edge: its visible middle is not its middle
        step = np.diff(middles(clip), axis=0)
        assert (np.sign(step[:, axis]) == sign).all()
        vectors = np.array([clip.motion[t][clip.masks[t]].mean(0) for t in range(15)])
        rim = clip.masks.copy()
        rim[:, 1:-1, 1:-1] = False
        whole = ~rim.any((1, 2))  # the object is inside the picture in this frame
        both = whole[1:] & whole[:-1]
        # centres of mass of pixel masks are rough
        assert both.any()
        assert np.abs(vectors - step)[both].max() < 0.35
        inside = clip.motion[3][clip.masks[3]]
        assert np.ptp(inside, axis=0).max() < 1e-3  # a translation is uniform


@pytest.mark.parametrize(("how", "sign"), [("clockwise", 1), ("counter-clockwise", -1)])
def test_turning_is_a_rotation_about_the_middle(how: str, sign: int) -> None:
    clip = sample_clip(how=how, seed=2, onset=1)
    y, x = np.argwhere(clip.masks[6]).T + 0.5
    u, v = clip.motion[6][clip.masks[6]].T
    # v = w x r + c: the curl is 2 w, the divergence only that of a finite rotation
    (a, b, _), (c, d, _) = (
        np.linalg.lstsq(np.stack([x, y, np.ones_like(x)], 1), m, rcond=None)[0] for m in (u, v)
    )
    angle = np.arctan2(c - b, 2 + a + d)
    assert np.sign(angle) == sign  # y points down: a positive angle is clockwise to the eye
    assert a == pytest.approx(np.cos(angle) - 1, abs=1e-4)
    assert b == pytest.approx(-np.sin(angle), abs=1e-4)
    assert c == pytest.approx(np.sin(angle), abs=1e-4)
    assert d == pytest.approx(np.cos(angle) - 1, abs=1e-4)


@pytest.mark.parametrize(("how", "larger"), [("expand", True), ("contract", False)])
def test_growth_changes_the_area_as_the_motion_says(how: str, larger: bool) -> None:
    clip = sample_clip(how=how, seed=3, onset=1)
    area = clip.masks.sum((1, 2))
    assert (area[-1] > 1.5 * area[0]) == larger
    y, x = np.argwhere(clip.masks[6]).T + 0.5
    u, v = clip.motion[6][clip.masks[6]].T
    growth = np.polyfit(x, u, 1)[0]
    assert (growth > 0) == larger
    assert growth == pytest.approx(np.polyfit(y, v, 1)[0], abs=1e-4)
    assert (1 + growth) ** 2 == pytest.approx(area[7] / area[6], abs=0.05)


def test_motion_vectors_carry_pixels_to_the_next_frame() -> None:
    """Independent oracle: the next frame, read where the vectors point, is this frame."""
    for how in ("right", "clockwise", "expand"):
        clip = sample_clip(how=how, seed=7, onset=1, size=224)
        y, x = np.mgrid[:224, :224].astype(np.float32)
        there = clip.motion[8]
        warped = cv2.remap(clip.frames[9], x + there[..., 0], y + there[..., 1], cv2.INTER_LINEAR)
        inner = cv2.erode(clip.masks[8].astype(np.uint8), np.ones((7, 7))) > 0
        error = np.abs(warped.astype(float) - clip.frames[8])[inner].mean()
        unmoved = np.abs(clip.frames[9].astype(float) - clip.frames[8])[inner].mean()
        assert error < 0.4 * unmoved


def test_same_arguments_same_pixels_other_seed_other_pixels() -> None:
    first, again = sample_clip(seed=11), sample_clip(seed=11)
    assert (first.frames == again.frames).all()
    assert (first.masks == again.masks).all()
    assert (first.motion == again.motion).all()
    assert (first.frames != sample_clip(seed=12).frames).any()


def test_the_camera_moves_what_is_not_the_object() -> None:
    clips = [sample_clip(how="still", seed=s, clutter=1.0) for s in range(12)]
    panned = [c for c in clips if np.abs(c.motion).max() > 0.1]
    assert 2 <= len(panned) < 12
    vectors = panned[0].motion.reshape(-1, 2)
    assert np.ptp(vectors, axis=0).max() < 1e-3  # a pan moves object and scene alike
    assert np.hypot(*vectors[0]) == pytest.approx(1.2, abs=0.81)


def test_positive_control_starts_to_move_at_frame_8() -> None:
    clip = positive_control(0, noise=0.0)
    assert changed(clip).any((1, 2)).tolist() == [t >= 8 for t in range(1, 16)]
    other = positive_control(0, motion_first=True, noise=0.0)
    assert changed(other).any((1, 2)).tolist() == [t < 8 for t in range(1, 16)]
    assert clip.frames[0].std() > 15  # textured


def test_the_two_orders_have_scenes_of_their_own() -> None:
    """Or the controls of both directions would share whatever is odd about a scene."""
    first, other = (positive_control(0, motion_first=m, noise=0.0) for m in (False, True))
    apart = np.abs(first.frames[0].astype(int) - other.frames[0])
    assert np.median(apart) > 10


def test_motion_of_the_last_frame_points_as_that_of_the_frame_before() -> None:
    for how, axis, sign in (("right", 0, 1), ("left", 0, -1), ("down", 1, 1), ("up", 1, -1)):
        clip = sample_clip(how=how, seed=3)
        last, before = (clip.motion[t][clip.masks[t]].mean(0) for t in (15, 14))
        assert sign * last[axis] > 0.3
        np.testing.assert_allclose(last, before, atol=0.05)


def test_a_mask_leaves_out_what_an_occluder_hides() -> None:
    library = procedural_library(0)
    scenes = sample_scenes(library, 16, torch.Generator().manual_seed(1), clutter=1.0)
    barred = scenes.bar[:, 3] > 0
    assert 2 < int(barred.sum()) < 14
    bare = replace(scenes, bar=scenes.bar * torch.tensor([1.0, 1.0, 1.0, 0.0]))
    with_bar, without = (render(library, s, 112).alpha for s in (scenes, bare))
    assert torch.equal(with_bar[~barred], without[~barred])
    hidden = (without - with_bar)[barred]
    assert float(hidden.min()) > -1e-6
    # the bar crosses the target: some of it is hidden, and where it is, all of it
    share = hidden.sum((1, 2, 3)) / without[barred].sum((1, 2, 3))
    assert float(share.min()) > 0
    assert float(share.mean()) > 0.05
    whole = without[barred] > 0.99
    assert float(with_bar[barred][whole].min()) == 0


def test_positive_control_has_weak_sensor_noise() -> None:
    clean, noisy = positive_control(4, noise=0.0), positive_control(4)
    noise = noisy.frames[0].astype(float) - clean.frames[0]
    assert noise.std() == pytest.approx(2.0, abs=0.15)
    assert changed(noisy).mean() > 0.5  # fresh in every frame
    assert (noisy.masks == clean.masks).all()


def test_controls_turn_through_four_directions() -> None:
    labels = [c.label for c in positive_controls(5, 1)]
    assert labels == [f"shape {h}" for h in ("left", "right", "up", "down", "left")]
    assert (positive_controls(1, 1)[0].frames == positive_control(1).frames).all()


def test_a_synthetic_clip_is_a_clip() -> None:
    clip = sample_clip(seed=3, size=128).clip()
    assert clip.frames.shape == (16, 128, 128, 3)
    assert clip.frames.dtype == np.uint8
    assert cropped_frames(clip, COMPACT_INPUT).shape == (16, 112, 112, 3)
    assert "seed 3" in clip.source


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"what": "animal"}, "shapes have no kind"),
        ({"how": "sideways"}, "choose from still, left"),
        ({"onset": 0}, "must start at frame 1"),
        ({"onset": 9, "offset": 9}, "before it stops"),
        ({"offset": 17}, "within 16 frames"),
        ({"frames": 1}, "at least 2 frames"),
    ],
)
def test_wrong_arguments_say_what_is_allowed(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ClipError, match=says):
        sample_clip(**wrong)  # type: ignore[arg-type]


def test_classes_are_six_kinds_times_ten_motions() -> None:
    assert len(CLASSES) == 60
    assert CLASSES[:2] == ("animal still", "animal left")
    assert CLASSES[-1] == "person shake"


def test_a_library_from_files(tmp_path: object) -> None:
    from pathlib import Path

    root = Path(str(tmp_path))
    rng = np.random.default_rng(0)
    for index, kind in enumerate(("animal", "food", "plant", "vehicle", "object", "person")):
        (root / "sprites" / kind).mkdir(parents=True)
        image = np.zeros((40, 20, 4), np.uint8)
        image[5:35, 3:17] = (10 * index, 200, 30, 255)
        cv2.imwrite(str(root / "sprites" / kind / "thing.png"), image)
    (root / "backgrounds").mkdir()
    cv2.imwrite(str(root / "backgrounds" / "view.png"), rng.integers(0, 255, (60, 80, 3), np.uint8))
    library = load_library(root, "all", "all")
    assert library.what.tolist() == [0, 1, 2, 3, 4, 5]
    assert library.names[3] == "vehicle/thing"
    clip = sample_clip("vehicle", "down", library=library, seed=1)
    assert clip.label == "vehicle down"
    inside = cv2.erode(clip.masks[0].astype(np.uint8), np.ones((5, 5))) > 0
    assert np.abs(clip.frames[0][inside] - np.array([30.0, 200, 30])).max() < 3  # RGB of BGR
    assert split_of("thing.png") == "test"
    with pytest.raises(ClipError) as caught:
        load_library(root, "val", "all")
    assert str(caught.value).startswith("no animal cut-outs for split 'val' in ")
    assert "a file's name decides its split, and by theirs the 1 there are 1 in 'test'" in str(
        caught.value
    )
    with pytest.raises(
        ClipError, match=r"no readable pictures for .* the 1 there are 1 in 'train'"
    ):
        load_library(root, "all", "val")
    (root / "sprites" / "animal" / "thing.png").write_bytes(b"no picture")
    with pytest.raises(ClipError, match=r"'test' in .*animal: expected RGBA .png files, see docs"):
        load_library(root, "test", "all")


def test_variants_of_one_picture_share_a_split() -> None:
    assert split_of("clipart-bird-01.png") == split_of("clipart-bird-02.png")
    assert split_of("gnome-wood-d.jpg") == split_of("gnome-wood-l.jpg")
    shares = [split_of(f"picture-{chr(97 + i % 26)}{chr(97 + i // 26)}") for i in range(600)]
    assert 0.7 < shares.count("train") / 600 < 0.9
    assert {"train", "val", "test"} == set(shares)


def test_procedural_pictures_have_edges_and_alpha() -> None:
    library = procedural_library(0)
    alpha = library.sprites[:, 3].float() / 255
    assert ((alpha > 0.5).float().mean((1, 2)) > 0.1).all()
    assert (library.sprites[:, :3].int() <= library.sprites[:, 3:].int() + 1).all()  # premultiplied
    assert library.backgrounds.float().std() > 10
