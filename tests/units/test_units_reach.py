"""A network is run as far as its layers, and stays as it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from nets import Residual, state
from torch import Tensor, nn

from c3d_viz.errors import LayerError, VizError
from c3d_viz.units.reach import Reach

X = torch.randn(1, 3, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def output(_layer: str, _module: nn.Module, _x: Tensor, given: Tensor) -> Tensor:
    return given.detach().clone()


class Loud(nn.Module):
    """Says when it runs, in a copy of the model too, as functions are not copied."""

    def __init__(self, says: Callable[[], None]) -> None:
        super().__init__()
        self.says = says

    def forward(self, x: Tensor) -> Tensor:
        self.says()
        return x


class Swallows(nn.Module):
    """Catches whatever fails in it."""

    def __init__(self, says: Callable[[], None]) -> None:
        super().__init__()
        self.first, self.behind = nn.Conv3d(3, 2, 3), Loud(says)

    def forward(self, x: Tensor) -> Tensor:
        try:
            y: Tensor = self.first(x)
        except Exception:
            y = x * 0
        return self.behind(y)


def test_nothing_behind_the_last_layer_runs() -> None:
    ran: list[str] = []
    between, behind = Loud(lambda: ran.append("between")), Loud(lambda: ran.append("behind"))
    model = nn.Sequential(nn.Conv3d(3, 2, 3), between, nn.ReLU(), behind).eval()
    before = state(model)
    reach = Reach(model, ["2", "0"], X)
    assert ran == ["between", "behind"]  # tried once, to count the calls
    assert reach.shapes == {"2": (1, 2, 2, 6, 6), "0": (1, 2, 2, 6, 6)}
    found = reach(X, output)
    assert ran == ["between", "behind", "between"]
    assert list(found) == ["2", "0"]  # as they were asked for
    wanted = model[0](X)
    assert torch.equal(found["0"], wanted)
    assert torch.equal(found["2"], wanted.relu())
    assert state(model) == before


def test_gradients_are_on_or_off_as_they_were() -> None:
    def given(_layer: str, _module: nn.Module, _x: Tensor, output: Tensor) -> Tensor:
        return output

    reach = Reach(nn.Sequential(nn.Conv3d(3, 2, 3)).eval(), ["0"], X)
    assert reach(X, given)["0"].requires_grad
    with torch.no_grad():
        assert not reach(X, given)["0"].requires_grad


def test_the_last_call_of_a_reused_module_is_waited_for() -> None:
    model = Residual().eval()
    with torch.no_grad():
        assert torch.equal(Reach(model, ["relu"], X)(X, output)["relu"], model(X))


def test_a_network_that_catches_errors_does_not_catch_the_end() -> None:
    ran: list[int] = []
    model = Swallows(lambda: ran.append(1)).eval()
    reach = Reach(model, ["first"], X)
    assert torch.equal(reach(X, output)["first"], model.first(X))
    assert ran == [1]


def test_what_cannot_be_run_is_one_line() -> None:
    model = nn.Sequential(nn.Conv3d(3, 2, 3), nn.Flatten(), nn.Linear(5, 2)).eval()
    with pytest.raises(VizError, match=r"Sequential fails on a clip of shape \(1, 3, 4, 8, 8\)"):
        Reach(model, ["0"], X)
    with pytest.raises(LayerError, match="no layer 'nine'"):
        Reach(model, ["nine"], X)


class Mixes(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean()


class Alone(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(1, 3, 4, 8, 8)


@pytest.mark.parametrize(("module", "size"), [(nn.ReLU(), 2), (Mixes(), 1), (Alone(), 1)])
def test_clips_go_in_pairs_only_where_each_answers_as_alone(module: nn.Module, size: int) -> None:
    reach = Reach(nn.Sequential(module).eval(), ["0"], X)
    clips = [X * k for k in range(1, 6)]
    given = list(reach.batches(5, lambda number: clips[number]))
    assert [len(x) for x in given] == [2, 2, 1] if size == 2 else [1] * 5
    assert torch.equal(torch.cat(given), torch.cat(clips))


class Tokens(nn.Module):
    """Patches as tokens (N, places, 6); and frames folded into the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.frame = nn.Conv3d(3, 6, (2, 4, 4), (2, 4, 4)), nn.Conv2d(3, 6, 3)
        self.norm, self.head = nn.LayerNorm(6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        self.frame(x[0].transpose(0, 1))
        return self.head(self.norm(self.patch(x).flatten(2).transpose(1, 2)).mean(1))


def test_places_and_frames_are_not_taken_for_channels() -> None:
    model = Tokens().eval()
    assert Reach(model, ["patch", "head"], X).shapes == {"patch": (1, 6, 2, 2, 2), "head": (1, 2)}
    with pytest.raises(LayerError, match=r"norm gives \(1, 8, 6\), .* LayerNorm .* 8 are places"):
        Reach(model, ["norm"], X)
    with pytest.raises(LayerError, match=r"frame gives \(4, 6, 6, 6\), .* its first axis; name a"):
        Reach(model, ["frame"], X)
