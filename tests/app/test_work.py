"""What the pages draw from: the library's own numbers, kept apart for everybody."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from asked import right, source

from app import finding_work, patches, ui, windows, work
from app.blocks import tree
from app.tasks import Left
from app.tiles import TILES, tiles
from c3d_viz.engine import slices
from c3d_viz.methods.reading import Reading


def same(values: np.ndarray, expected: np.ndarray) -> None:
    """Up to rounding: the page reads a clip once, the library anew for each map."""
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_map_is_the_librarys(net: work.Net, videos: list[Path]) -> None:
    win = windows.window(source(videos[0], "a"), net, 1, 1)
    unit = work.spot(net, win, "conv3b", None, None)
    att = work.back_projection(net, win, unit, "guided")
    expected = right(net, videos[0], 1, "conv3b", "guided")
    assert att.unit == expected.unit
    assert unit.activation == pytest.approx(expected.activation)
    same(att.values, expected.values)


def test_a_forward_pass_tells_which_layer_it_is_at(
    net: work.Net, videos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[float, int, str]] = []
    monkeypatch.setattr(work, "tell", lambda *at: told.append(at))
    win = windows.window(source(videos[0], "told"), net, 0, 1)
    work.reading(net, win, "conv5b")
    names = [name for *_, name in told]
    layers = ["conv1a", "conv2a", "conv3b", "conv5b", "fc8"]
    assert [name for name in names if name in layers] == layers
    assert [done for done, *_ in told] == sorted(done for done, *_ in told)
    assert all(done < total for done, total, _ in told)
    assert not any(module._forward_hooks for module in net.model.modules())


def test_c3d_is_read_by_time_steps_with_the_same_bits(
    net: work.Net, videos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = []
    real = slices._in_slices
    monkeypatch.setattr(slices, "_in_slices", lambda *of: cut.append(of[0].shape) or real(*of))
    win = windows.window(source(videos[0], "soon"), net, 0, 1)
    read = work.reading(net, win, "conv5b")
    assert {shape[1] for shape in cut} == {3, 16, 32, 64}  # conv1a, 2a, 3a and 3b
    whole = Reading(net.model, win.x)
    for layer, values in whole.trace.activations.items():
        assert torch.equal(values, read.trace.activations[layer]), layer
    assert torch.equal(whole.trace.output, read.trace.output)


def test_five_people_at_once_get_their_own(net: work.Net, videos: list[Path]) -> None:
    work.CACHE.clear()
    got: dict[tuple[int, str], np.ndarray] = {}
    failed: list[BaseException] = []

    def person(n: int) -> None:
        try:
            for layer in ("conv4a", "conv2a"):
                win = windows.window(source(videos[n], f"clip-{n}"), net, n % 3, 1)
                unit = work.spot(net, win, layer, None, None)
                got[n, layer] = work.back_projection(net, win, unit, "deconvnet").values
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=person, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    for (n, layer), values in got.items():
        expected = right(net, videos[n], n % 3, layer, "deconvnet").values
        same(values, expected)
    assert work.CACHE.used <= work.CACHE.limit


def test_tiles_are_the_strongest_maps_and_their_maps_are_kept(
    net: work.Net, videos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    win = windows.window(source(videos[1], "tiles"), net, 0, 1)
    made = tiles(net, win, "conv5b", "deconvnet", "magnitude")
    answers = [tile.spot.activation for tile in made]
    assert len(made) == TILES
    assert answers == sorted(answers, reverse=True)
    assert all(tile.src.startswith("data:image/jpeg;base64,") for tile in made)
    signed = tiles(net, win, "conv5b", "deconvnet", "signed")
    assert {tile.src for tile in made}.isdisjoint(tile.src for tile in signed)
    assert [(tile.frames, tile.near) for tile in made] == [(16, None)] * TILES
    for tile in tiles(net, win, "conv3a", "gradient", "signed"):
        patch = patches.patch_of(net, win, tile.spot)
        assert patch is not None
        assert tile.near == patch.box
    monkeypatch.setattr(Reading, "attribute", lambda *_: pytest.fail("computed again"))
    spot = made[7].spot
    assert work.back_projection(net, win, spot, "deconvnet").unit.channel == spot.channel


def test_tiles_that_were_left_go_on_where_they_were(net: work.Net, videos: list[Path]) -> None:
    win = windows.window(source(videos[4], "left"), net, 0, 1)
    told: list[tuple[int, int]] = []

    def report(done: int, total: int) -> None:
        told.append((done, total))
        if len(told) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiles(net, win, "conv3a", "guided", "magnitude", report)
    assert told == [(n, TILES) for n in range(4)]
    tiles(net, win, "conv3a", "guided", "magnitude", report)
    assert told[4] == (0, TILES - 3)
    att = work.back_projection(net, win, work.spot(net, win, "conv3a", None, None), "guided")
    same(att.values, right(net, videos[4], 0, "conv3a", "guided").values)


def test_the_exact_frames_and_the_sharper_ones_show_the_same_part(
    net: work.Net, tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    frames = np.full((16, 256, 342, 3), 60, np.uint8)
    frames[:, 100:140, 150:200] = 230
    path = make_video(tmp_path / "block.mp4", frames, options={"crf": "5"})
    win = windows.window(source(path, "block"), net, 0, 1)
    small = win.frames[0, ..., 0] > 140
    large = win.sharp[0, ..., 0] > 140
    for axis in (0, 1):
        a = np.flatnonzero(small.any(axis)).mean()
        b = np.flatnonzero(large.any(axis)).mean()
        assert (b + 0.5) / windows.SHARP == pytest.approx(a + 0.5, abs=0.6)
    assert win.wide.shape[1:3] == (256, 342)


def test_an_altered_clip_is_the_clip_reordered(net: work.Net, videos: list[Path]) -> None:
    win = windows.window(source(videos[2], "altered"), net, 0, 1)
    np.testing.assert_array_equal(windows.altered(net, win, "reversed").frames, win.frames[::-1])
    frozen = windows.altered(net, win, "frozen")
    assert (frozen.frames == win.frames[8]).all()
    shuffled = windows.altered(net, win, "shuffled")
    assert sorted(f.sum() for f in shuffled.frames) == sorted(f.sum() for f in win.frames)
    assert not np.array_equal(shuffled.frames, win.frames)


def test_motion_is_undefined_on_a_frozen_clip(net: work.Net, videos: list[Path]) -> None:
    win = windows.window(source(videos[2], "altered"), net, 0, 1)
    # conv5b: a unit of a shallower layer need not see every frame
    found = finding_work.altered(net, win, "conv5b", "guided")
    assert np.isnan(found["frozen"].motion).all()
    assert np.isnan(found["frozen"].contrast)
    assert np.isfinite(found["as it is"].motion[1:15]).all()
    assert found["as it is"].share.sum() == pytest.approx(1)
    assert [s.channel for s in found["reversed"].spots] == [
        s.channel for s in found["as it is"].spots
    ]


def test_classes_are_probabilities_in_order(net: work.Net, videos: list[Path]) -> None:
    win = windows.window(source(videos[0], "a"), net, 1, 1)
    found = work.classes(net, win, "conv5b", 60)
    if not net.spec.trained:
        assert found == []
        return
    values = [p for _, _, p in found]
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(1)


def test_the_untrained_network_says_so_and_has_other_weights(net: work.Net) -> None:
    other = work.network(work.UNTRAINED)
    assert "untrained" in other.spec.weights
    assert not other.spec.trained
    assert other.key != net.key
    assert not (other.model.conv1a.weight == net.model.conv1a.weight).all()


def test_blocks_state_shapes_and_receptive_fields(net: work.Net) -> None:
    blocks = {b["id"]: b for b in tree(net).blocks}
    assert blocks["conv3b"]["shape"] == "64×8×28×28"
    assert blocks["conv5b"]["sees"] == "sees whole clip"  # 68 × 134 × 134, more than there is
    assert "each cell sees the whole clip" in blocks["conv5b"]["spoken"]
    assert blocks["conv5a"]["sees"] == "sees 16×102×102"
    assert "all 16 frames of 102 × 102 pixels" in blocks["conv5a"]["spoken"]
    assert blocks["conv2a"]["sees"] == "sees 5×8×8"
    assert blocks["fc8"]["shape"] == "60 classes"
    assert list(blocks)[:3] == ["conv1a", "pool1", "conv2a"]


def test_a_map_that_was_left_is_made_again_for_who_comes_later(
    net: work.Net, videos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    win = windows.window(source(videos[3], "left"), net, 2, 1)
    unit = work.strongest(net, win, "conv5b", 1)[0]
    asked: list[int] = []
    real = work.Reading.attribute

    def once_left(*words: Any, **more: Any) -> Any:
        asked.append(1)
        if len(asked) == 1:
            raise Left
        return real(*words, **more)

    monkeypatch.setattr(work.Reading, "attribute", once_left)
    att = work.back_projection(net, win, unit, "guided")
    assert len(asked) == 2
    assert att.method == "guided"
    assert work.CACHE._running == {}


def test_only_what_answers_is_strongest_and_has_a_rank(net: work.Net, videos: list[Path]) -> None:
    win = windows.window(source(videos[0], "rank"), net, 0, 1)
    logits = np.asarray(work.reading(net, win, "fc8").trace.activations["fc8"])
    answering = work.strongest(net, win, "fc8", len(logits))
    assert len(answering) == (logits > 0).sum() < len(logits)
    best = answering[0]
    assert work.rank(net, win, best) == pytest.approx(1 - 1 / len(logits))
    number, name, _ = work.classes(net, win, "fc8")[0]
    assert net.spec.classes is not None
    assert (number, name) == (best.channel, net.spec.classes[best.channel])
    assert (ui.share(0.9), ui.share(0.9999), ui.share(1.0)) == ("90 %", "99.99 %", "100 %")
    assert ui.share(1 - 1e-9) == "99.999 %"


def test_why_there_is_no_contrast_and_what_the_twin_says(net: work.Net) -> None:
    nan, flat = np.full(16, np.nan), np.full(16, 0.2)

    def line(appearance: Any, motion: Any, contrast: float = np.nan) -> finding_work.Lines:
        return finding_work.Lines(appearance, motion, flat, contrast, ())

    assert "nothing moves" in finding_work.undefined(line(flat, nan))
    assert "no texture" in finding_work.undefined(line(nan, flat))
    assert "too few frames" in finding_work.undefined(line(flat, flat))
    assert finding_work.undefined(line(flat, flat, 0.1)) == ""
    base, near, far = line(flat, flat), line(flat, flat + 0.1), line(flat + 0.4, flat + 0.4)
    assert finding_work.apart(base, near) == pytest.approx(0.05)
    assert finding_work.apart(base, line(nan, flat + 0.3)) == pytest.approx(0.3)
    said = finding_work.of_twin(base, near, [far, far])
    assert "nearly the same curve: 0.05" in said
    assert "random weights 0.40" in said
    assert "another curve: 0.40" in finding_work.of_twin(base, far, [near])
