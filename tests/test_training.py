"""Training: what is folded, inflated, resumed and measured is what it should be."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from c3d_viz.errors import ClipError, ShapeError, WeightsError
from c3d_viz.media import write_video
from c3d_viz.models import C3D, initialise
from c3d_viz.spec import COMPACT_INPUT, ModelSpec
from c3d_viz.synthetic_library import WHATS, load_library, procedural_library
from c3d_viz.synthetic_scene import CLASSES, HOWS
from c3d_viz.training import data, evaluate, loop, phases, sprites, videos
from c3d_viz.training.__main__ import main
from c3d_viz.training.nets import TrainNet, folded, inflate, product_head, to_c3d
from c3d_viz.training.pack import pack, worst_difference
from c3d_viz.weights import load_model


def lived_in(net: TrainNet, seed: int = 0) -> TrainNet:
    """Batch normalisation with statistics and parameters unlike those of a fresh net."""
    g = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            assert module.running_mean is not None
            assert module.running_var is not None
            size = module.running_mean.shape
            module.running_mean.copy_(torch.randn(size, generator=g) * 0.3)
            module.running_var.copy_(torch.rand(size, generator=g) + 0.3)
            module.weight.data.copy_(torch.rand(size, generator=g) + 0.5)
            module.bias.data.copy_(torch.randn(size, generator=g) * 0.2)
    return net.eval()


def clip(n: int = 1, seed: int = 0) -> Tensor:
    return torch.randn(n, 3, 16, 112, 112, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("plain", [(), ("conv1a", "conv2a", "fc6")])
@torch.no_grad()
def test_folded_net_gives_the_same_logits(depth: int, plain: tuple[str, ...]) -> None:
    torch.manual_seed(1)
    net = lived_in(TrainNet((6, 10), width=4, fc=16, depth=depth, plain=plain))
    assert net(clip(2)).std() > 0.01
    assert worst_difference(net, to_c3d(net), clip(2)) < 1e-4


@torch.no_grad()
def test_padded_pool5_is_kept() -> None:
    net = lived_in(TrainNet((5,), width=2, fc=8, pool5="padded"))
    model = to_c3d(net)
    assert model.pool5_form == "padded"
    assert worst_difference(net, model, clip()) < 1e-4


def test_a_folded_layer_is_the_layer_and_its_norm() -> None:
    net = lived_in(TrainNet((3,), width=2, fc=8))
    x = torch.randn(4, 32 * 8)[:, : net.fc6.in_features]
    weight, bias = folded(net, "fc6")
    with torch.no_grad():
        wanted = net.bn6(net.fc6(x))
    assert torch.allclose(wanted, x @ weight.float().T + bias.float(), atol=1e-5)


def test_product_head_is_the_product_of_the_softmaxes() -> None:
    weight, bias, x = torch.randn(5, 7), torch.randn(5), torch.randn(4, 7)
    joint_w, joint_b = product_head(weight, bias, (2, 3))
    logits = x @ weight.T + bias
    a, b = logits[:, :2].softmax(1), logits[:, 2:].softmax(1)
    joint = (x @ joint_w.T + joint_b).softmax(1).reshape(4, 2, 3)
    assert torch.allclose(joint, a[:, :, None] * b[:, None], atol=1e-6)


@pytest.mark.parametrize("depth", [1, 3, 5])
@torch.no_grad()
def test_inflated_at_the_centre_a_still_clip_has_the_pictures_logits(depth: int) -> None:
    torch.manual_seed(2)
    flat = lived_in(TrainNet((6,), width=4, fc=16, depth=0))
    net = inflate(flat, depth, (6, 10), plain=("conv1a", "conv2a")).eval()
    picture = clip(2)[:, :, 0]
    still = picture[:, :, None].expand(-1, -1, 16, -1, -1)
    assert torch.allclose(net(still)[:, :6], flat(picture), atol=1e-5)


@torch.no_grad()
def test_inflated_by_the_mean_only_the_ends_differ() -> None:
    """Zero padding takes a third of the response away in the first and last frame."""
    torch.manual_seed(3)
    flat = lived_in(TrainNet((6,), width=4, fc=16, depth=0))
    net = inflate(flat, 3, (6, 10), spread="mean").eval()
    picture = clip(1)[:, :, 0]
    deep = net.conv1a(picture[:, :, None].expand(-1, -1, 16, -1, -1))
    wanted = flat.conv1a(picture)
    assert torch.allclose(
        deep[:, :, 1:-1], wanted[:, :, None].expand(-1, -1, 14, -1, -1), atol=1e-5
    )
    assert torch.allclose(deep[:, :, 0], wanted * 2 / 3, atol=1e-5)
    assert torch.allclose(deep[:, :, 15], wanted * 2 / 3, atol=1e-5)


@torch.no_grad()
def test_the_2d_twin_cannot_tell_time_from_its_reverse() -> None:
    twin = lived_in(TrainNet((6, 10), width=4, fc=16, depth=1))
    full = lived_in(TrainNet((6, 10), width=4, fc=16, depth=3))
    x = clip()
    assert torch.allclose(twin(x), twin(x.flip(2)), atol=1e-6)
    forward, backward = full.conv1a(x), full.conv1a(x.flip(2)).flip(2)
    assert float((forward - backward).abs().mean()) > 0.1 * float(forward.abs().mean())


def test_a_flat_net_has_no_c3d() -> None:
    with pytest.raises(ShapeError, match="no time axis"):
        to_c3d(TrainNet((6,), width=2, fc=8, depth=0))
    with pytest.raises(ShapeError, match="odd"):
        TrainNet((6,), depth=2)


@torch.no_grad()
def test_bf16_is_close_to_float32() -> None:
    net = lived_in(TrainNet((6, 10), width=4, fc=16))
    exact, rough = net(clip()), net(clip(), bf16=True)
    assert rough.dtype == torch.float32
    assert float((rough - exact).norm() / exact.norm()) < 0.1


def pictures(seed: int, share: float) -> loop.Batch:
    """Bright against dark pictures: a question a net answers within a few steps."""
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, 2, (8,), generator=g)
    noise = torch.randn(8, 3, 112, 112, generator=g) * 0.3
    return noise + (label * 2.0 - 1)[:, None, None, None], label


def small_run(**changes: object) -> tuple[loop.State, loop.Settings]:
    settings = loop.Settings(**{"steps": 8, "lr": 0.005, "warmup": 5, "ema": 0.5, **changes})  # type: ignore[arg-type]
    torch.manual_seed(0)
    return loop.start(TrainNet((2,), width=4, fc=16, depth=0, dropout=0.1), settings), settings


@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    state, settings = small_run()
    whole = loop.fit(state, pictures, settings, tmp_path / "whole")
    state, settings = small_run()
    loop.fit(state, pictures, settings, tmp_path / "parts", stop_after=3)
    state, settings = small_run(seed=0)
    torch.manual_seed(99)  # what happened in between does not matter
    parts = loop.fit(state, pictures, settings, tmp_path / "parts")
    assert parts.step == whole.step == 8
    assert parts.seen == 64
    for key, value in whole.net.state_dict().items():
        assert torch.equal(value, parts.net.state_dict()[key]), key
    for key, value in whole.ema.state_dict().items():
        assert torch.equal(value, parts.ema.state_dict()[key]), key


def test_a_finished_run_does_nothing_more(tmp_path: Path) -> None:
    state, settings = small_run(steps=2)
    loop.fit(state, pictures, settings, tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    state, settings = small_run(steps=2)
    assert loop.fit(state, pictures, settings, tmp_path).step == 2
    assert len((tmp_path / "checkpoint.pt").read_bytes()) == len(before)
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.slow
def test_training_learns_and_logs(tmp_path: Path) -> None:
    state, settings = small_run(steps=40, log_every=0.0)
    lines: list[str] = []

    def right(net: TrainNet) -> dict[str, float]:
        with torch.no_grad():
            x, y = pictures(12345, 1.0)
            return {"accuracy": float((net(x).argmax(1) == y).float().mean())}

    loop.fit(
        state,
        pictures,
        settings,
        tmp_path,
        evaluate=right,
        progress=lambda done, total, what: lines.append(f"{done}/{total} {what}"),
    )
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["accuracy"] == 1.0
    assert log[-1]["step"] == 40
    assert log[-1]["loss"] < log[0]["loss"]
    assert "min left" in lines[0]
    assert lines[-1].startswith("1000/1000 320 seen, 0.0 min left")


def test_learning_rate_warms_up_and_falls() -> None:
    settings = loop.Settings(lr=1.0, warmup=100)
    assert loop.learning_rate(0, 0.0, settings) == pytest.approx(0.01, abs=1e-5)
    assert loop.learning_rate(99, 0.0, settings) == pytest.approx(1.0, abs=1e-5)
    assert loop.learning_rate(500, 0.5, settings) == pytest.approx(0.5, abs=1e-5)
    assert loop.learning_rate(999, 1.0, settings) == pytest.approx(0.0, abs=1e-5)


def test_batches_depend_on_the_seed_alone() -> None:
    batch = data.clips(procedural_library(), 3)
    (x, _, how), (again, _, _), (other, _, _) = batch(5, 0.5), batch(5, 0.5), batch(6, 0.5)
    assert torch.equal(x, again)
    assert not torch.equal(x, other)
    assert x.shape == (3, 3, 16, 112, 112)
    assert -1.84 < float(x.min()) < float(x.max()) < 2.42  # (0 - 110) / 60, (255 - 110) / 60
    assert set(how.tolist()) <= set(range(10))


def test_wilson_matches_published_values() -> None:
    assert evaluate.wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert evaluate.wilson(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert evaluate.wilson(10, 10)[1] == pytest.approx(1.0)


def test_clustered_answers_have_a_wider_interval() -> None:
    rng = np.random.default_rng(0)
    per_sprite = rng.random(50) < 0.6
    right, cluster = np.repeat(per_sprite, 20), np.repeat(np.arange(50), 20)
    low, high = evaluate.cluster_interval(right, cluster)
    single = evaluate.wilson(int(right.sum()), len(right))
    assert high - low > 3 * (single[1] - single[0])
    assert low < right.mean() < high


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A folder with one cut-out per kind and one background, in every split."""
    root = tmp_path / "sources"
    rng = np.random.default_rng(0)
    (root / "backgrounds").mkdir(parents=True)
    for name in ("thing", "car", "view"):  # test, and two others: `all` is what the tests use
        cv2.imwrite(
            str(root / "backgrounds" / f"{name}.png"), rng.integers(0, 255, (60, 80, 3), np.uint8)
        )
    for index, what in enumerate(WHATS):
        (root / "sprites" / what).mkdir(parents=True)
        image = np.zeros((40, 30, 4), np.uint8)
        cv2.circle(image, (15, 20), 12, (40 * index, 200, 30, 255), -1)
        cv2.imwrite(str(root / "sprites" / what / "thing.png"), image)
    return root


class Constant(nn.Module):
    """Always says class ``index``."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index

    def forward(self, x: Tensor) -> Tensor:
        logits = torch.zeros(len(x), len(CLASSES))
        logits[:, self.index] = 5
        return logits


def test_a_constant_answer_scores_chance_on_balanced_clips(sources: Path) -> None:
    test = evaluate.TestSet("tiny", "all", "all", 1.0, 60, 1)
    index = CLASSES.index("plant right")
    result = evaluate.evaluate({"constant": Constant(index)}, sources, [test])["tiny"]["constant"]
    assert result["clips"] == 60
    assert result["appearance"]["share"] == pytest.approx(1 / 6, abs=1e-4)  # type: ignore[index]
    assert result["motion"]["share"] == pytest.approx(0.1)  # type: ignore[index]
    assert result["both"]["share"] == pytest.approx(1 / 60, abs=1e-4)  # type: ignore[index]
    by_class = result["motion_by_class"]
    assert {k: v["share"] for k, v in by_class.items()} == {  # type: ignore[attr-defined]
        h: float(h == "right") for h in HOWS
    }
    # left against right: right for the 6 clips that go right, a tie (wrong) everywhere else
    assert result["direction"]["share"] == pytest.approx(6 / 48)  # type: ignore[index]
    assert "| right | 100.0 %" in evaluate.table({"tiny": {"constant": result}})


def test_a_joint_run_goes_on_from_another(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    before = TrainNet(phases.HEADS, depth=1, plain=phases.PLAIN)
    torch.save({"ema": before.state_dict(), "seen": 48}, tmp_path / "joint.pt")
    few, everything = data.fixed_clips, load_library(sources, "all", "all")
    monkeypatch.setattr(data, "fixed_clips", lambda library, n, seed: few(library, 2, seed))
    monkeypatch.setattr(phases, "load_library", lambda *_: everything)
    settings = loop.Settings(steps=1, batch=2, head_weights=(1.5, 1.0), lr=1e-3, warmup=100)
    state = phases.train_joint(
        sources, tmp_path / "joint.pt", tmp_path / "run", 1, settings, warm=True
    )
    assert state.seen == 50
    moved = (state.net.fc8.weight - before.fc8.weight).detach().abs().max()
    assert 0 < float(moved) < 1e-4  # one step of AdamW at a hundredth of the learning rate
    net, seen = phases.joint_net(tmp_path / "run")
    assert (net.depth, seen) == (1, 50)
    with pytest.raises(WeightsError, match="has temporal depth 1; give --depth 1"):
        phases.train_joint(sources, tmp_path / "run", tmp_path / "3d", 3, settings, warm=True)


def test_evaluation_keeps_figures_of_the_same_weights(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = {"a": "first"}
    asked: list[str] = []

    def load(name: str) -> tuple[nn.Module, ModelSpec]:
        asked.append(name)
        spec = ModelSpec(name, "", True, COMPACT_INPUT, 60, sha256=sums[name])
        return Constant(0), spec

    monkeypatch.setattr("c3d_viz.weights.load_model", load)
    test = evaluate.TestSet("tiny", "all", "all", 1.0, 4, 1)
    out = tmp_path / "figures.json"
    lines: list[int] = []

    def run() -> evaluate.Result:
        lines.clear()
        return evaluate.evaluate_files(
            ["a"], sources, out, [test], lambda done, total, what: lines.append(done)
        )

    first = run()
    assert lines == [4]
    assert first["tiny"]["a"]["motion_confusion"][0][0] == 1  # still, of clips 0 to 3
    assert run() == first
    assert lines == []
    sums["a"] = "other"
    assert run() == first
    assert lines == [4]
    assert json.loads(out.read_text())["sha256"] == {"a": "other"}


def test_the_same_evaluation_twice_gives_the_same_figures(sources: Path) -> None:
    library = load_library(sources, "all", "all")
    model = C3D(60, width=2, fc=8).eval()
    initialise(model, 0)
    test = evaluate.TestSet("tiny", "all", "all", 1.0, 8, 1)
    first, again = (evaluate.answers([model], library, test, batch=4)[0] for _ in range(2))
    assert (first.said_what == again.said_what).all()
    assert (first.said_how == again.said_how).all()
    assert (first.sprite == again.sprite).all()


def test_a_packed_net_loads_as_what_it_is(tmp_path: Path) -> None:
    net = lived_in(TrainNet((6, 10), width=16, fc=512))
    path = pack(net, 12345, tmp_path / "net.safetensors")
    assert path.stat().st_size < 8_000_000
    model, spec = load_model("compact", weights=path)
    assert spec.classes == CLASSES
    assert spec.input == COMPACT_INPUT
    assert spec.weights.startswith("compact: trained on 12,345 synthetic clips")
    assert model.temporal_depths == (3, 3, 3, 3, 3)
    with torch.no_grad():
        exact, half = to_c3d(net)(clip()), model(clip())
    assert float((exact - half).norm() / exact.norm()) < 5e-3  # float16


def moving_bar(path: Path, seed: int, frames: int = 20) -> None:
    rng = np.random.default_rng(seed)
    video = rng.integers(0, 60, (frames, 64, 80, 3), np.uint8)
    for t in range(frames):
        video[t, :, (3 * t) % 70 : (3 * t) % 70 + 8] = 255
    write_video(path, video, 25)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    root = tmp_path / "videos"
    for number, name in enumerate(("Jump", "Run")):
        (root / name).mkdir(parents=True)
        for group in (1, 2):
            moving_bar(root / name / f"v_{name}_g0{group}_c01.mp4", 10 * number + group)
    (root / "Run" / "broken.avi").write_bytes(b"RIFF nothing of use")
    moving_bar(root / "Run" / "short.mp4", 5, frames=9)
    (root / "Run" / "notes.txt").write_text("not a video")
    return root


def test_scan_reports_bad_files_and_goes_on(dataset: Path) -> None:
    found = videos.scan(dataset)
    assert found.classes == ("Jump", "Run")
    assert found.labels == (0, 0, 1, 1)
    assert found.lengths == (20, 20, 20, 20)
    assert sorted(path.name for path, _ in found.bad) == ["broken.avi", "short.mp4"]
    assert all("\n" not in why for _, why in found.bad)
    train, val = videos.divided(found, held_out=0.5)
    assert [found.paths[i].name[-11:-8] for i in val] == ["g02", "g02"]
    assert sorted(train + val) == [0, 1, 2, 3]


def test_clips_of_one_group_stay_together() -> None:
    names = [f"v_Jump_g{g:02d}_c{c:02d}.avi" for g in range(1, 11) for c in (1, 2)]
    paths = tuple(Path("Jump") / n for n in names)
    found = videos.VideoSet(("Jump",), paths, (0,) * 20, (30,) * 20, ())
    train, val = videos.divided(found, 0.2)
    groups = [{paths[i].stem[:-4] for i in part} for part in (train, val)]
    assert not groups[0] & groups[1]
    assert len(val) == 4


def test_fine_tuning_on_own_videos(dataset: Path, tmp_path: Path) -> None:
    start = C3D(7, width=2, fc=8).eval()
    initialise(start, 0)
    spec = ModelSpec("compact", "tiny: a test", True, COMPACT_INPUT, 7)
    settings = loop.Settings(steps=2, batch=2, lr=1e-3)
    out = tmp_path / "run"
    path, found = videos.train_videos(dataset, out, settings, init=(start, spec), held_out=0.5)
    assert len(found.bad) == 2
    assert "broken.avi" in (out / "bad-files.txt").read_text()
    model, loaded = load_model("c3d", weights=path)
    assert loaded.classes == ("Jump", "Run")
    assert loaded.weights == "trained on videos: 2 classes, 4 clips, from tiny"
    assert loaded.input == COMPACT_INPUT
    with torch.no_grad():
        assert model(clip()).shape == (1, 2)
    moved = (model.conv3a.weight - start.conv3a.weight).detach().abs().max()
    assert 0 < float(moved) < 0.05  # fine-tuned, not started anew
    (dataset / "Jump").rename(dataset / "Leap")
    with pytest.raises(ClipError, match="other classes"):
        videos.train_videos(dataset, out, settings, init=(start, spec))


def test_starting_from_a_model_keeps_all_below_fc8() -> None:
    start = C3D(7, width=2, fc=8, pool5="padded").eval()
    initialise(start, 3)
    again = to_c3d(videos.initial_net(3, start).eval())
    for key, value in start.state_dict().items():
        if not key.startswith("fc8"):
            assert torch.allclose(again.state_dict()[key], value), key
    assert again.pool5_form == "padded"
    with pytest.raises(WeightsError, match="temporal depths"):
        videos.initial_net(3, C3D(7, width=2, fc=8, temporal_depths=(3, 3, 5, 5, 7)))


def test_a_video_that_breaks_later_is_replaced(dataset: Path) -> None:
    found = videos.scan(dataset)
    found.paths[0].write_bytes(b"gone bad")
    notes: list[str] = []
    batch = videos.window_batches(found, [0, 1, 2, 3], 12, notes)
    x, label = batch(1, 0.0)
    assert x.shape == (12, 3, 16, 112, 112)
    assert set(label.tolist()) == {0, 1}
    assert notes
    assert found.paths[0].name in notes[0]


@pytest.mark.parametrize(
    ("folders", "says"),
    [((), "0 class folders"), (("A",), "1 class folders"), (("A", "B"), "no usable video in A, B")],
)
def test_a_folder_that_is_no_data_set(tmp_path: Path, folders: tuple[str, ...], says: str) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir()
    with pytest.raises(ClipError, match=says):
        videos.scan(tmp_path)


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
    assert lines == ["stamp: 1 animal", "clipart: 1 food", "emoji: not found", "backgrounds: 1"]
    assert (tmp_path / "out/sprites/animal/stamp-big-thing.png").is_file()
    made = cv2.imread(str(tmp_path / "out/backgrounds/mate-Wood.jpg"))
    assert made.shape == (720, 1280, 3)
    with pytest.raises(ClipError, match="dpkg-deb -x"):
        list(sprites.prepare(tmp_path / "nowhere", tmp_path / "out"))


def test_commands_fail_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stills", str(tmp_path), "-o", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no animal cut-outs")
    assert error.count("\n") == 1
