"""Volumes as slices: values by hand, files that a scanner and a vandal would write."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import c3d_viz as viz
from c3d_viz.errors import ClipError

CT = (np.arange(2 * 3 * 4).reshape(2, 3, 4) * 100 - 1000).astype(np.int16)  # D, H, W


def test_a_window_by_hand() -> None:
    frames = viz.volume_frames(CT[None], window=(-1000, 275))
    assert (frames.shape, frames.dtype) == ((2, 3, 4, 3), np.uint8)
    assert frames[0, 0, :, 0].tolist() == [0, 20, 40, 60]
    assert frames[1, :, 0, 2].tolist() == [240, 255, 255]
    assert np.array_equal(viz.volume_frames(torch.from_numpy(CT), (-1000, 275)), frames)


def test_by_itself_the_window_is_the_middle_of_the_values() -> None:
    values = np.linspace(0, 1, 1000).reshape(1, 10, 10, 10)
    values[0, 0, 0, 0], values[0, 9, 9, 9], values[0, 5, 0, 0] = -1e30, 1e30, np.nan
    frames = viz.volume_frames(values)
    assert frames[0, 0, 0, 0] == frames[5, 0, 0, 0] == 0
    assert frames[9, 9, 9, 0] == 255
    assert abs(int(frames[4, 9, 9, 0]) - 127) <= 2
    assert not viz.volume_frames(np.full((2, 3, 4), 7.0)).any()


@pytest.mark.parametrize("form", [(2, 3, 4), (1, 2, 3, 4)])
def test_npy(tmp_path: Path, form: tuple[int, ...]) -> None:
    np.save(tmp_path / "scan.npy", np.asfortranarray(CT.reshape(form)))
    volume = viz.read_volume(tmp_path / "scan.npy")
    assert (volume.shape, volume.dtype) == ((1, 2, 3, 4), np.float32)
    assert np.array_equal(volume[0], CT)
    assert np.array_equal(viz.volume_frames(tmp_path / "scan.npy"), viz.volume_frames(CT))


@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
def test_nifti_lies_as_z_y_x_and_keeps_its_scaling(tmp_path: Path, suffix: str) -> None:
    nibabel = pytest.importorskip("nibabel", reason="nibabel is not installed (extra 'volumes')")
    image = nibabel.Nifti1Image(CT.transpose(2, 1, 0)[..., None], np.eye(4))
    image.header.set_slope_inter(0.5, -7)
    path = tmp_path / f"scan.{suffix}"
    nibabel.save(image, path)
    with (gzip.open if suffix.endswith("gz") else open)(path, "rb") as file:
        stored = np.frombuffer(file.read()[352:], np.int16).reshape(2, 3, 4)
    volume = viz.read_volume(path)
    assert volume.shape == (1, 2, 3, 4)
    assert np.array_equal(volume[0], stored * np.float32(0.5) - 7)
    four = nibabel.Nifti1Image(np.zeros((2, 2, 2, 5), np.float32), np.eye(4))
    nibabel.save(four, tmp_path / "film.nii")
    with pytest.raises(ClipError, match=r"film.nii: a volume is \(1, D, H, W\) .* \(5, 2, 2, 2\)"):
        viz.read_volume(tmp_path / "film.nii")
    large = nibabel.Nifti1Header()
    large.set_data_shape((3000, 3000, 3000))
    path.write_bytes(b"")
    with (gzip.open if suffix.endswith("gz") else open)(path, "wb") as file:
        file.write(large.binaryblock + bytes(4))
    with pytest.raises(ClipError, match="more than the 300 million pixels"):
        viz.read_volume(path)


def test_a_map_of_a_volume() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv3d(2, 3, 3), nn.ReLU())
    x = torch.randn(1, 1, 6, 12, 10)
    frames = viz.volume_frames(x[0])
    att = viz.attribute(net.eval(), x, viz.Unit("3", 1), "guided")
    assert att.values.shape == (1, 6, 12, 10)
    assert viz.overlay(frames, att).shape == frames.shape == (6, 12, 10, 3)
    assert viz.filmstrip(frames, att).shape[2] == 3


def test_what_is_no_volume_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY\x01\x00")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "flat.npy", np.zeros((3, 4)))
    whole = tmp_path / "forged.npy"
    np.save(whole, np.zeros((2, 3, 4)))
    whole.write_bytes(whole.read_bytes().replace(b"(2, 3, 4)", b"(9, 3, 4)"))
    (tmp_path / "scan.dcm").write_bytes(b"x")
    for name, said in (
        ("none.npy", "does not exist"),
        ("cut.npy", "cannot be read as a volume"),
        ("objects.npy", "cannot be read as a volume"),
        ("flat.npy", r"a volume is \(1, D, H, W\)"),
        ("forged.npy", "cannot be read as a volume"),
        ("scan.dcm", "give a .npy, .nii or .nii.gz file"),
    ):
        with pytest.raises(ClipError, match=said) as refused:
            viz.read_volume(tmp_path / name)
        assert name in str(refused.value)
    for volume, window, said in (
        (np.zeros((2, 3)), None, "a volume is"),
        (np.full((1, 2, 2), np.nan), None, "no finite number"),
        (np.array([["a"]]), None, "holds numbers"),
        (CT, (3, 3), "window must be two numbers"),
        (CT, 5, "window must be two numbers"),
    ):
        with pytest.raises(ClipError, match=said):
            viz.volume_frames(volume, window)  # type: ignore[arg-type]
