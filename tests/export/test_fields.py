"""What an export says of a unit's field, of time and of frame numbers, against what is there."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import torch
from exported import Loaded, manifest_of

from c3d_viz import Attribution, Unit, attribute, receptive_field, render
from c3d_viz.export import export_clip
from c3d_viz.export.draw import field_box, field_note
from c3d_viz.nets import C3D
from c3d_viz.render.media import write_image


def test_the_note_says_what_is_drawn_where_the_unit_sees_nothing() -> None:
    window: Any = SimpleNamespace(
        numbers=range(40, 44), spec=SimpleNamespace(input=SimpleNamespace(crop=(6, 8)))
    )
    values, box = np.zeros((1, 4, 6, 8), np.float32), ((1, 3), (0, 2), (4, 8))
    values[0, 1:3, 0:2, 4:8] = 1
    att = Attribution(values, Unit("a", 0, (0, 0, 0)), "gradcam", 1.0)
    (note,) = field_note(window, box, att)
    assert note == (
        "This unit can see frames 41-42, rows 0-1 and columns 4-7 of the clip's 8 x 6 pixels; "
        "elsewhere its map is zero."
    )
    values[0, 1, 2, 4] = 1e-9
    (note,) = field_note(window, box, att)
    assert note.endswith("; elsewhere it sees nothing, and what is drawn comes from the method.")
    assert field_note(window, None, att) == []


@pytest.mark.parametrize(
    ("layer", "at"),
    [("conv1a", (0, 0, 0)), ("conv1a", (5, 60, 111)), ("conv2a", (15, 55, 20)),
     ("conv3b", (3, 14, 27))],
)  # fmt: skip
def test_the_box_of_a_unit_is_all_that_it_sees(layer: str, at: tuple[int, int, int]) -> None:
    """Positive weights, so that the gradient is above 0 wherever a pixel counts."""
    model = C3D(5, width=1, fc=4).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.1)
    x = torch.rand(1, 3, 16, 112, 112, generator=torch.Generator().manual_seed(0)) + 1
    whole = field_box(receptive_field(model, layer), Unit(layer, 0, at), (16, 112, 112))
    assert whole is not None
    field = receptive_field(model, layer)
    for axis, (low, high) in enumerate(whole):
        first = field.start[axis] + at[axis] * field.step[axis]
        assert low == max(0, first)
        assert high == min((16, 112, 112)[axis], first + field.size[axis])
    if layer == "conv1a":  # below it nothing is pooled: every cell of the box counts
        reached = np.argwhere(attribute(model, x, Unit(layer, 0, at), "gradient").values[0])
        assert reached.min(0).tolist() == [low for low, _ in whole]
        assert (reached.max(0) + 1).tolist() == [high for _, high in whole]


def test_a_picture_names_the_frames_rows_and_columns_that_its_unit_sees(
    clip: Path, loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames by their numbers in the source; in a window that starts late and skips frames."""
    notes: list[str] = []
    numbers: list[list[int]] = []
    seen: list[render.Patch] = []
    original = render.filmstrip

    def filmstrip(*args: Any, **kwargs: Any) -> Any:
        notes.extend(kwargs["notes"])
        numbers.append(list(kwargs["numbers"]))
        seen.append(kwargs["patch"])
        return original(*args, **kwargs)

    monkeypatch.setattr(render, "filmstrip", filmstrip)
    out = tmp_path / "out"
    export_clip(clip, out, layers="conv1a", top=1, start=5, stride=2, loaded=loaded)
    taken = list(range(5, 37, 2))
    assert numbers == [taken]
    (unit,) = manifest_of(out)["windows"][0]["layers"][0]["units"]
    t, h, w = unit["at"]
    frames = f"{taken[max(0, t - 1)]}-{taken[min(15, t + 1)]}"
    rows = f"{max(0, h - 1)}-{min(111, h + 1)}"
    columns = f"{max(0, w - 1)}-{min(111, w + 1)}"
    (note,) = notes
    assert (seen[0].start, seen[0].size) == ((t - 1, h - 1, w - 1), (3, 3, 3))
    assert f"frames {frames}, rows {rows} and columns {columns} " in note
    with np.load(out / unit["files"]["deconvnet"]["map"]) as stored:
        assert stored["frames"].tolist() == taken
        times = np.flatnonzero(np.abs(stored["values"]).sum((0, 2, 3)))
    assert set(times) <= {t - 1, t, t + 1}
    with av.open(str(out / unit["files"]["deconvnet"]["overlay"])) as container:
        rate = container.streams.video[0].average_rate
        assert rate is not None
        assert float(rate) == pytest.approx(manifest_of(out)["clip"]["fps"] / 2, rel=0.01)


def test_the_manifest_states_the_receptive_field_of_each_layer(tree: Path, loaded: Loaded) -> None:
    for layer in manifest_of(tree)["windows"][0]["layers"]:
        stated = layer["receptive_field"]
        if layer["layer"] == "fc8":
            assert stated is None
            continue
        field = receptive_field(loaded[0], layer["layer"])
        assert stated == {"size": list(field.size), "step": list(field.step)}
        assert stated["size"] != stated["step"]


def test_the_same_bytes_in_other_files_are_another_clip(loaded: Loaded, tmp_path: Path) -> None:
    """Two folders whose files hold the same bytes one after the other, cut elsewhere."""
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        for number in range(16):
            picture = np.full((112, 112, 3), 10 * number, np.uint8)
            write_image(folder / f"{number:02d}.png", picture)
    (one / "16.png").write_bytes((one / "15.png").read_bytes())
    (other / "15x.png").write_bytes((other / "15.png").read_bytes())
    sums = []
    for folder in (one, other, one):
        out = tmp_path / f"out-{len(sums)}"
        export_clip(folder, out, layers="fc8", top=1, loaded=loaded)
        sums.append(manifest_of(out)["clip"]["sha256"])
    assert sums[0] == sums[2]
    assert sums[0] != sums[1]
