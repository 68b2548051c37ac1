"""Settings of methods: read, checked with one line, printed again."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from c3d_viz.errors import VizError
from c3d_viz.methods.registry import METHODS, read_settings, settings_of
from c3d_viz.methods.settings import Settings, described, setting


@dataclass(frozen=True)
class Example(Settings):
    count: int = setting(3, "how many", low=1, high=9)
    share: float = setting(0.5, "how much", low=0)
    fill: str = setting("mean", "with what", choices=("mean", "still"))
    name: str = setting("", "of whom")
    window: tuple[int, int, int] = setting((4, 16, 16), "where", low=1)


def test_texts_become_values_and_values_texts() -> None:
    words = {"count": "7", "share": "2", "fill": "still", "name": "x", "window": "1,2,3"}
    read = Example.of("ex", words)
    assert read == Example(7, 2.0, "still", "x", (1, 2, 3))
    assert type(read.share) is float
    assert read.words("ex") == (
        "ex.count=7", "ex.share=2.0", "ex.fill=still", "ex.name=x", "ex.window=1,2,3",
    )  # fmt: skip
    again = dict(word.removeprefix("ex.").split("=") for word in read.words("ex"))
    assert Example.of("ex", again) == read
    assert Example.of("ex", {"window": [1, 2, 3], "share": 2}).window == (1, 2, 3)
    assert Example().words("ex") == ()
    assert read.to_json()["window"] == [1, 2, 3]
    assert Example().to_json()["count"] == 3
    assert described(Example)[0] == "count=3: how many (a whole number from 1 to 9)"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"count": "10"}, "ex.count takes a whole number from 1 to 9, got 10"),
        ({"count": "\u0663"}, "ex.count takes a whole number from 1 to 9, got '\u0663'"),
        ({"count": "3.5"}, "ex.count takes a whole number from 1 to 9, got '3.5'"),
        ({"count": True}, "ex.count takes a whole number from 1 to 9, got True"),
        ({"share": "-1"}, "ex.share takes a number from 0 up, got -1.0"),
        ({"share": "nan"}, "ex.share takes a number from 0 up, got nan"),
        ({"share": None}, "ex.share takes a number from 0 up, got None"),
        ({"fill": "black"}, "ex.fill takes one of mean, still, got 'black'"),
        ({"name": 3}, "ex.name takes a name, got 3"),
        (
            {"window": "1,2"},
            r"ex.window takes 3 whole numbers as in 4,16,16 from 1 up, got \(1, 2\)",
        ),
        ({"window": (0, 2, 2)}, "ex.window takes 3 whole numbers"),
        ({"cuont": 1}, r"ex has no setting 'cuont'; it has .*nearest: count"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_does(given: dict, message: str) -> None:
    with pytest.raises(VizError, match=message):
        Example.of("ex", given)


def test_the_command_lines_words() -> None:
    methods = ["deconvnet", "integrated_gradients"]
    read = read_settings(["integrated_gradients.steps=6"], methods)
    assert {name: s.to_json() for name, s in read.items()} == {
        "integrated_gradients": {"steps": 6, "baseline": "mean"}
    }
    for word, message in {
        "steps=5": r"a setting is METHOD.NAME=VALUE .* got 'steps=5'",
        "integrated_gradients.steps": "a setting is METHOD.NAME=VALUE",
        "lime.steps=5": "no method 'lime'; there are deconvnet",
        "gradcam.layer=x": "sets gradcam, which is not asked for; asked for: deconvnet, integr",
        "deconvnet.steps=5": "deconvnet has no settings",
    }.items():
        with pytest.raises(VizError, match=message):
            read_settings([word], methods)
    with pytest.raises(VizError, match=r"integrated_gradients\.steps is given twice; leave one"):
        read_settings(["integrated_gradients.steps=5", "integrated_gradients.steps=5"], methods)
    with pytest.raises(VizError, match="gradcam takes CamSettings, got Example"):
        settings_of("gradcam", Example())


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].settings])
def test_every_default_fits_and_comes_back_from_its_own_words(method: str) -> None:
    kind = METHODS[method].settings
    assert kind is not None
    given = {name: value for name, value in kind().to_json().items()}
    assert settings_of(method, given) == kind() == settings_of(method)
