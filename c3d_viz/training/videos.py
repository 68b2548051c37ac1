"""Train a C3D on a folder of videos, one folder per class (the layout of UCF101)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..clips import VIDEO_SUFFIXES, preprocess, read_clip, video_info
from ..errors import ClipError, WeightsError
from ..files import make_folder, write_text
from ..nets import C3D, COMPACT_INPUT, LAYERS, InputSpec, ModelSpec
from ..progress import Progress
from .loop import Batch, Settings, fit, start
from .nets import TrainNet, to_c3d

FRAMES = 16


@dataclass(frozen=True)
class VideoSet:
    """Readable videos of a folder-per-class data set.

    Attributes:
        classes: sorted folder names.
        paths, labels, lengths: one entry per video: file, class index, number of frames.
        bad: (file, one line why) of every video that was left out.
    """

    classes: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: tuple[int, ...]
    lengths: tuple[int, ...]
    bad: tuple[tuple[Path, str], ...]


def scan(root: str | Path, progress: Progress | None = None) -> VideoSet:
    """Look at every video of ``root/<class>/*``; bad files are noted, not fatal.

    Raises:
        ClipError: no folder, fewer than two classes, or a class without a usable video.
    """
    root = Path(root)
    if not root.is_dir():
        raise ClipError(f"no folder {root}; expected one folder per class with videos in it")
    folders = [p for p in sorted(root.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    if len(folders) < 2:
        raise ClipError(f"{root} has {len(folders)} class folders, training needs at least two")
    files = [
        (label, path)
        for label, folder in enumerate(folders)
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in VIDEO_SUFFIXES
    ]
    good: list[tuple[Path, int, int]] = []
    bad: list[tuple[Path, str]] = []
    for number, (label, path) in enumerate(files, start=1):
        try:
            frames = video_info(path).frames
            if frames < FRAMES:
                raise ClipError(f"{path}: {frames} frames, a clip needs {FRAMES}")
            read_clip(path, 0, FRAMES)
            good.append((path, label, frames))
        except ClipError as error:
            bad.append((path, str(error)))
        if progress is not None:
            progress(number, len(files), f"looking at videos, {len(bad)} bad")
    empty = [f.name for i, f in enumerate(folders) if not any(g[1] == i for g in good)]
    if empty:
        raise ClipError(f"{root}: no usable video in {', '.join(empty)}; remove or fill the folder")
    paths, labels, lengths = zip(*good, strict=True)
    return VideoSet(tuple(f.name for f in folders), paths, labels, lengths, tuple(bad))


def divided(videos: VideoSet, held_out: float = 0.2) -> tuple[list[int], list[int]]:
    """Indices for training and for validation: every k-th video of a class is held out.

    UCF101 cuts several clips out of one video (``v_Name_g07_c03``); files that share everything
    before ``_c`` stay on one side.
    """
    train: list[int] = []
    val: list[int] = []
    every = max(2, round(1 / held_out)) if held_out > 0 else 0
    for label in range(len(videos.classes)):
        mine = [i for i, own in enumerate(videos.labels) if own == label]
        groups = sorted({videos.paths[i].stem.rsplit("_c", 1)[0] for i in mine})
        out = set(groups[every - 1 :: every]) if every else set()
        for i in mine:
            (val if videos.paths[i].stem.rsplit("_c", 1)[0] in out else train).append(i)
    return train, val


def window_batches(
    videos: VideoSet,
    indices: list[int],
    n: int,
    notes: list[str] | None = None,
    spec: InputSpec = COMPACT_INPUT,
) -> Callable[[int, float], Batch]:
    """(seed, share) -> (clips (n, 3, 16, 112, 112), class): random windows, mirrored half of
    the time, classes drawn evenly. A video that fails while reading is noted and replaced."""
    by_class = [[i for i in indices if videos.labels[i] == c] for c in range(len(videos.classes))]
    by_class = [c for c in by_class if c]

    def batch(seed: int, share: float) -> Batch:
        rng = np.random.default_rng(seed)
        clips: list[torch.Tensor] = []
        labels: list[int] = []
        for _ in range(20 * n):
            if len(clips) == n:
                break
            pool = by_class[rng.integers(len(by_class))]
            i = pool[rng.integers(len(pool))]
            first = int(rng.integers(videos.lengths[i] - FRAMES + 1))
            mirror = rng.random() < 0.5
            try:
                x = preprocess(read_clip(videos.paths[i], first, FRAMES), spec)
            except ClipError as error:
                if notes is not None:
                    notes.append(str(error))
                continue
            clips.append(x.flip(4) if mirror else x)
            labels.append(videos.labels[i])
        if len(clips) < n:
            raise ClipError(f"only {len(clips)} of {n} clips could be read; check the videos")
        return torch.cat(clips), torch.tensor(labels)

    return batch


def initial_net(
    classes: int, model: C3D | None, *, width: int = 16, fc: int = 512, seed: int = 0
) -> TrainNet:
    """A net for ``classes`` that starts from scratch (with batch normalisation) or from the
    layers of ``model`` below fc8 (as they are, without).

    Raises:
        WeightsError: a model whose temporal depths differ between its layers.
    """
    torch.manual_seed(seed)
    if model is None:
        return TrainNet((classes,), width=width, fc=fc)
    depth = model.temporal_depths[0]
    if any(d != depth for d in model.temporal_depths):
        raise WeightsError(f"cannot start from temporal depths {model.temporal_depths}; use equal")
    net = TrainNet(
        (classes,),
        width=model.width,
        fc=model.fc,
        depth=depth,
        plain=LAYERS[:-1],
        dropout=0.5,
        pool5=model.pool5_form,
    )
    state = net.state_dict()
    for key, value in model.state_dict().items():
        if not key.startswith("fc8"):
            state[key] = value.clone()
    net.load_state_dict(state)
    return net


def _classes(names: Path) -> tuple[str, ...]:
    try:
        return tuple(map(str, json.loads(names.read_text())))
    except (OSError, ValueError, TypeError, RecursionError):
        return ()


def train_videos(
    root: str | Path,
    out: str | Path,
    settings: Settings,
    *,
    init: tuple[C3D, ModelSpec] | None = None,
    held_out: float = 0.2,
    progress: Progress | None = None,
) -> tuple[Path, VideoSet]:
    """Train on ``root/<class>/*.avi`` and write ``out/model.safetensors``, resumable.

    Args:
        root: folder per class. Bad videos are listed in ``out/bad-files.txt`` and left out.
        out: folder of the run: checkpoint, log, model. An unfinished run goes on.
        settings: length and optimiser; ``Settings(minutes=60, batch=16)`` is a start.
        init: network to fine-tune, as ``load_model`` gives it; its fc8 is replaced, its input
            preprocessing and pool5 are kept. None trains ``compact``'s shape from scratch.
        held_out: share of videos (UCF101: groups) per class kept for validation.

    Returns:
        The safetensors file, which ``load_model("c3d", weights=FILE)`` reads, and the videos.

    Raises:
        ClipError: not a folder per class with usable videos, or other classes than the run in
            ``out`` was started with.
    """
    from ..weights import save_model

    root, out = Path(root), Path(out)
    videos = scan(root, progress)
    make_folder(out)
    names = out / "classes.json"
    if names.is_file() and _classes(names) != videos.classes:
        raise ClipError(
            f"{out} holds a run on other classes, or {names.name} in it is damaged; choose another "
            f"folder for -o"
        )
    write_text(names, json.dumps(videos.classes, indent=1))
    write_text(out / "bad-files.txt", "".join(f"{why}\n" for _, why in videos.bad))
    train, val = divided(videos, held_out)
    model, spec = init if init is not None else (None, None)
    wanted = COMPACT_INPUT if spec is None else spec.input
    notes: list[str] = []
    n = settings.batch
    held = window_batches(videos, val, n, None, wanted) if val else None
    checks = [held(777 + i, 0.0) for i in range(4)] if held else []

    def accuracy(net: TrainNet) -> dict[str, float]:
        with torch.no_grad():
            right = [(net(x).argmax(1) == y).float() for x, y in checks]
        return {"accuracy": float(torch.cat(right).mean())}

    state = fit(
        start(initial_net(len(videos.classes), model, seed=settings.seed), settings),
        window_batches(videos, train, n, notes, wanted),
        settings,
        out,
        evaluate=accuracy if checks else None,
        progress=progress,
    )
    with (out / "bad-files.txt").open("a") as file:
        file.writelines(f"{note}\n" for note in sorted(set(notes)))
    origin = "random weights" if spec is None else spec.weights.split(":")[0]
    line = (
        f"trained on {root.name}: {len(videos.classes)} classes, {state.seen} clips, from {origin}"
    )
    trained = ModelSpec(
        name="c3d" if spec is None else spec.name,
        weights=line,
        trained=True,
        input=wanted,
        num_classes=len(videos.classes),
        classes=videos.classes,
    )
    path = out / "model.safetensors"
    return save_model(path, to_c3d(state.ema.eval()), trained, description=line[:120]), videos
