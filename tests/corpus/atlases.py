"""What several tests of the atlas share: its settings, a hash of a folder, peaks by hand."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from small_net import SMALL_INPUT, SMALL_NET

from c3d_viz.clips import preprocess, read_clips
from c3d_viz.corpus import AtlasSettings

LAYERS = {"relu1a": 6, "conv2a": 5}
SMALL = AtlasSettings(SMALL_NET, tuple(LAYERS), top=3)


def tree(folder: Path) -> dict[str, str]:
    """SHA-256 of every file, by its name within the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def activations(path: Path, starts: list[int]) -> dict[str, list[np.ndarray]]:
    """What each layer answers to each window, by PyTorch alone."""
    model, _ = SMALL_NET.load()
    made: dict[str, list[np.ndarray]] = {layer: [] for layer in LAYERS}
    for clip in read_clips(path, starts):
        x = preprocess(clip, SMALL_INPUT)
        with torch.no_grad():
            made["relu1a"].append(model[:2](x)[0].numpy())
            made["conv2a"].append(model(x)[0].numpy())
    return made
