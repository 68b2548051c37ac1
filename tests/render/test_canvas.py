"""Colour maps, and text that fits."""

from __future__ import annotations

import numpy as np

from c3d_viz.render.canvas import colour_table, fitted, text_width, wrapped

# --- colour maps ----------------------------------------------------------------------------


def lightness(table: np.ndarray) -> np.ndarray:
    """CIE L* of sRGB colours (n, 3) uint8."""
    linear = table / 255.0
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    y = linear @ np.array([0.2126, 0.7152, 0.0722])
    return np.where(y > 0.008856, 116 * np.cbrt(y) - 16, 903.3 * y)


def test_sequential_map_is_evenly_perceived() -> None:
    steps = np.diff(lightness(colour_table("inferno")))
    assert steps.min() > -0.1
    assert steps.std() < 0.2


def test_diverging_map_is_balanced_and_safe_for_colour_blind_people() -> None:
    table = colour_table("blue-orange")
    light = lightness(table)
    assert np.abs(light - light[::-1]).max() < 8  # both signs equally light
    assert np.all(np.diff(light[128:]) > 0)
    assert np.all(np.diff(light[:128]) < 0)
    assert light[127:129].max() < 8
    # Machado et al. 2009, full deuteranopia and protanopia, on linear light approximated by RGB
    for matrix in (
        [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
        [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    ):
        seen = np.clip(table @ np.array(matrix).T, 0, 255)
        apart = np.abs(seen - seen[::-1]).max(axis=1)
        assert apart[np.abs(np.linspace(-1, 1, 256)) > 0.25].min() > 40


def test_text_fits() -> None:
    assert text_width("frame 12", 17) < text_width("frame 123", 17)
    assert fitted("short", 500, 17) == "short"
    cut = fitted("a-very-long-name-of-a-file.mp4", 120, 17)
    assert "…" in cut
    assert cut.startswith("a-")
    assert cut.endswith("p4")
    assert text_width(cut, 17) <= 120
    assert wrapped("one two three", 80, 17) == ["one two", "three"]
