"""Planted kernels come out with their orientation, direction, speed, colour."""

from __future__ import annotations

import math

import numpy as np
import pytest

from c3d_viz.units import read_kernel

GREY = (1.0, 1.0, 1.0)


def drifting(
    direction: float,
    speed: float,
    frequency: float,
    shape: tuple[int, int, int] = (9, 15, 15),
    colour: tuple[float, ...] = GREY,
) -> np.ndarray:
    """A grating under a Gaussian, drifting towards ``direction`` (degrees, 90 is up)."""
    t, y, x = (np.arange(n) - (n - 1) / 2 for n in shape)
    angle = math.radians(direction)
    along = x[None, None, :] * math.cos(angle) - y[None, :, None] * math.sin(angle)
    wave = np.cos(2 * np.pi * frequency * (along - speed * t[:, None, None]))
    window = [
        np.exp(-(axis**2) / (2 * (n / 5) ** 2)) for axis, n in zip((t, y, x), shape, strict=True)
    ]
    film = wave * np.einsum("t,y,x->tyx", *window)
    return np.stack([c * film for c in colour])


@pytest.mark.parametrize("direction", [0, 45, 90, 150, 225, 270, 330])
@pytest.mark.parametrize("speed", [0.8, 1.6])
def test_a_drifting_grating_comes_out(direction: float, speed: float) -> None:
    reading = read_kernel(drifting(direction, speed, 0.2))
    assert reading.kind == "moving"
    assert reading.direction == pytest.approx(direction, abs=6)
    assert reading.speed == pytest.approx(speed, rel=0.1)
    assert reading.orientation == pytest.approx((direction + 90) % 180, abs=6)
    assert reading.spatial_frequency == pytest.approx(0.2, abs=0.02)
    assert reading.temporal_frequency == pytest.approx(0.2 * speed, abs=0.03)
    assert reading.direction_index > 0.95
    assert reading.opponency == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("direction", [0, 90, 180, 270])
def test_three_frames_of_three_by_three_keep_their_direction(direction: float) -> None:
    reading = read_kernel(drifting(direction, 1.0, 0.25, (3, 3, 3)))
    assert reading.kind == "moving"
    assert reading.direction == pytest.approx(direction, abs=3)
    assert reading.speed == pytest.approx(1.0, rel=0.15)


def test_a_static_kernel_is_static() -> None:
    film = np.repeat(drifting(30, 0, 0.2)[:, 4:5], 9, axis=1)
    reading = read_kernel(film)
    assert reading.kind == "static"
    assert (reading.direction_index, reading.temporal_frequency) == (0, 0)
    assert reading.dynamic == pytest.approx(0, abs=1e-9)
    assert math.isnan(reading.direction)
    assert math.isnan(reading.speed)
    assert reading.orientation == pytest.approx(120, abs=6)


def test_a_kernel_of_one_frame_is_static() -> None:
    film = np.zeros((3, 3, 15, 15))
    film[:, 1] = drifting(30, 0, 0.2)[:, 4]
    reading = read_kernel(film)
    assert (reading.kind, reading.direction_index) == ("static", 0)
    assert reading.dynamic == pytest.approx(0, abs=1e-9)


def test_a_change_in_time_is_dynamic() -> None:
    still = drifting(30, 0, 0.2)[:, 4:5]
    reading = read_kernel(np.concatenate([-still, still], axis=1))
    assert (reading.kind, reading.direction_index) == ("changing", 0)
    assert reading.dynamic > 0.95
    assert reading.temporal_frequency == 0.5


def test_a_picture_times_a_course_in_time_has_no_direction() -> None:
    still = drifting(70, 0, 0.15)[:, 4:5]
    course = np.random.default_rng(0).normal(size=(1, 9, 1, 1))
    reading = read_kernel(still * course)
    assert reading.direction_index == 0
    assert math.isnan(reading.direction)


def test_the_reversed_film_runs_the_other_way() -> None:
    film = drifting(20, 1.2, 0.2) + 0.3 * drifting(100, 0.4, 0.1)
    forward, back = read_kernel(film), read_kernel(film[:, ::-1])
    assert abs(forward.direction - back.direction) == pytest.approx(180)
    assert back.speed == pytest.approx(forward.speed)
    assert back.direction_index == pytest.approx(forward.direction_index)


def test_both_ways_at_once_is_no_direction() -> None:
    reading = read_kernel(drifting(0, 1, 0.2) + drifting(180, 1, 0.2))
    assert reading.kind == "changing"
    assert reading.direction_index < 0.01


@pytest.mark.parametrize(
    ("colour", "opponency"),
    [(GREY, 0.0), ((1.0, -1.0, 0.0), 1.0), ((1.0, 0.0, 0.0), 2 / 3), ((0.5, 0.5, -1.0), 1.0)],
)
def test_colour(colour: tuple[float, ...], opponency: float) -> None:
    reading = read_kernel(drifting(0, 1, 0.2, colour=colour))
    assert reading.opponency == pytest.approx(opponency, abs=1e-9)
    axis = np.array(colour) / np.linalg.norm(colour)
    assert abs(float(axis @ np.array(reading.colour))) == pytest.approx(1)
    assert max(reading.colour, key=abs) > 0


def test_an_even_flicker_and_nothing() -> None:
    flicker = np.array([1.0, -1.0, 1.0])[None, :, None, None] * np.ones((3, 3, 5, 5))
    reading = read_kernel(flicker)
    assert (reading.spatial_frequency, reading.temporal_frequency) == (0, 0.5)
    assert math.isnan(reading.orientation)
    empty = read_kernel(np.zeros((3, 3, 3, 3)), 7)
    assert (empty.kind, empty.channel, empty.norm) == ("empty", 7, 0)
