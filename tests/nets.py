"""Small networks and an independent way back through them, for the tests of the core.

``walk_back`` shares no code with the package: whole levels, one-hot signals, PyTorch's own
transposed convolution and max-unpooling.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# keys of METHODS that look at the clip in windows of their own and walk no way back
PERTURBING = {"occlusion", "rise"}
RULES = ("gradient", "deconvnet", "guided")
MINI_INPUT = (1, 3, 16, 56, 56)
MINI_LAYERS = ("conv1a", "conv2a", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a", "conv5b")


def mini_c3d(
    pool5: str = "ceil", depths: Sequence[int] = (3, 3, 3, 3, 3), width: int = 2, seed: int = 0
) -> nn.Sequential:
    """C3D's chain as a plain Sequential for (3, 16, 56, 56): conv5 has 2 x 3 x 3 cells here.

    Random biases, so that a bias that leaks into a way back is noticed. The ReLU behind convNx is
    named reluNx.
    """
    torch.manual_seed(seed)
    net = nn.Sequential()
    channels = 3
    groups = (("1a",), ("2a",), ("3a", "3b"), ("4a", "4b"), ("5a", "5b"))
    for number, (names, depth) in enumerate(zip(groups, depths, strict=True), start=1):
        for name in names:
            out = width * (1, 2, 4, 8, 8)[number - 1]
            conv = nn.Conv3d(channels, out, (depth, 3, 3), padding=(depth // 2, 1, 1))
            nn.init.normal_(conv.weight, 0, (2 / conv.weight[0].numel()) ** 0.5)
            nn.init.normal_(conv.bias, 0, 0.1)
            net.add_module(f"conv{name}", conv)
            net.add_module(f"relu{name}", nn.ReLU())
            channels = out
        if number == 1:
            pool = nn.MaxPool3d((1, 2, 2), (1, 2, 2))
        elif number < 5:
            pool = nn.MaxPool3d(2, 2)
        elif pool5 == "ceil":
            pool = nn.MaxPool3d(2, 2, ceil_mode=True)
        else:
            pool = nn.MaxPool3d(2, 2, padding=(0, 1, 1))
        net.add_module(f"pool{number}", pool)
    net.add_module("flatten", nn.Flatten())
    net.add_module("fc6", nn.Linear(channels * 4, 8))
    net.add_module("relu6", nn.ReLU())
    net.add_module("drop6", nn.Dropout(0.5))
    net.add_module("fc7", nn.Linear(8, 5))
    return net.eval()


def clip(shape: Sequence[int] = MINI_INPUT, seed: int = 7, dtype: torch.dtype = torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def rule_at(rule: str, signal: Tensor, x: Tensor) -> Tensor:
    """The three rules, written as their papers write them."""
    forward, backward = (x > 0).to(x.dtype), (signal > 0).to(x.dtype)
    return {
        "gradient": signal * forward,
        "deconvnet": signal * backward,
        "guided": signal * forward * backward,
    }[rule]


def walk_back(
    net: nn.Sequential, x: Tensor, layer: str, channel: int, at: tuple[int, ...], rule: str
) -> Tensor:
    """The unit's signal at the input, (C, T, H, W), step by step over whole levels."""
    done: list[tuple[nn.Module, Tensor, Tensor | None]] = []
    value = x
    for name, module in net.named_children():
        before, switches = value, None
        if isinstance(module, nn.MaxPool3d):
            value, switches = F.max_pool3d(
                value, module.kernel_size, module.stride, module.padding, 1,
                module.ceil_mode, return_indices=True,
            )  # fmt: skip
        else:
            value = module(value)
        done.append((module, before, switches))
        if name == layer:
            break
    signal = torch.zeros_like(value)
    signal[(0, channel, *at)] = 1
    for module, before, switches in reversed(done):
        if isinstance(module, nn.Conv3d):
            spare = [
                n - ((s - 1) * t - 2 * p + d * (k - 1) + 1)
                for n, s, t, p, d, k in zip(
                    before.shape[2:], signal.shape[2:], module.stride, module.padding,
                    module.dilation, module.kernel_size, strict=True,
                )
            ]  # fmt: skip
            signal = F.conv_transpose3d(
                signal, module.weight, None, module.stride, module.padding, spare,
                module.groups, module.dilation,
            )  # fmt: skip
        elif isinstance(module, nn.ReLU):
            signal = rule_at(rule, signal, before)
        elif isinstance(module, nn.MaxPool3d):
            signal = F.max_unpool3d(
                signal, switches, module.kernel_size, module.stride, module.padding,
                output_size=before.shape[2:],
            )  # fmt: skip
        elif isinstance(module, nn.Flatten):
            signal = signal.view_as(before)
        elif isinstance(module, nn.Linear):
            signal = signal @ module.weight
    return signal[0].detach()


def relative(values: Tensor, reference: Tensor) -> float:
    """Largest difference, as a share of the reference's largest value."""
    values, reference = values.detach(), reference.detach()
    top = float(reference.abs().max())
    assert top > 0, "the reference is zero: the comparison would say nothing"
    return float((values - reference).abs().max()) / top


class Residual(nn.Module):
    """conv, in-place ReLU, a residual block with in-place ReLUs, strided conv, in-place ReLU."""

    def __init__(self, form: str = "module") -> None:
        super().__init__()
        torch.manual_seed(3)
        self.form = form
        self.stem = nn.Conv3d(3, 4, 3, padding=1)
        self.first = nn.Conv3d(4, 4, 3, padding=1)
        self.second = nn.Conv3d(4, 4, 3, padding=1, bias=False)
        self.down = nn.Conv3d(4, 6, 3, stride=2, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def rectify(self, x: Tensor) -> Tensor:
        match self.form:
            case "module":
                return self.relu(x)
            case "F.relu":
                return F.relu(x)
            case "F.relu inplace":
                return F.relu(x, inplace=True)
            case "torch.relu":
                return torch.relu(x)
            case "torch.relu_":
                return torch.relu_(x)
            case "Tensor.relu":
                return x.relu()
            case "Tensor.relu_":
                return x.relu_()
            case "clamp":
                return x.clamp(min=0)
            case "clamp_":
                return x.clamp_(min=0)
            case "clamp_min":
                return torch.clamp_min(x, 0.0)
            case "threshold":
                return F.threshold(x, 0, 0)
        raise AssertionError(self.form)

    def forward(self, x: Tensor) -> Tensor:
        x = self.rectify(self.stem(x))
        y = self.rectify(self.first(x))
        x = self.rectify(self.second(y) + x)
        return self.rectify(self.down(x))

    def walk_back(self, x: Tensor, channel: int, at: tuple[int, ...], rule: str) -> Tensor:
        """From a unit of ``down``'s convolution output back to the input, by hand."""

        def back(signal: Tensor, conv: nn.Conv3d, spare: int = 0) -> Tensor:
            return F.conv_transpose3d(signal, conv.weight, None, conv.stride, 1, spare)

        a = self.stem(x)
        b = self.first(a.relu())
        c = self.second(b.relu()) + a.relu()
        signal = torch.zeros_like(self.down(c.relu()))
        signal[(0, channel, *at)] = 1
        signal = rule_at(rule, back(signal, self.down, spare=1), c)
        branch = back(rule_at(rule, back(signal, self.second), b), self.first)
        return back(rule_at(rule, signal + branch, a), self.stem)[0].detach()


FORMS = (
    "module", "F.relu", "F.relu inplace", "torch.relu", "torch.relu_", "Tensor.relu",
    "Tensor.relu_", "clamp", "clamp_", "clamp_min", "threshold",
)  # fmt: skip


class Normalised(nn.Module):
    """With batch statistics and dropout, which must be off while the model is looked at."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.conv = nn.Conv3d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm3d(4)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.top = nn.Conv3d(4, 3, 3)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.top(self.drop(self.relu(self.norm(self.conv(x)))))


def state(model: nn.Module) -> tuple[object, ...]:
    """Everything that must be as before: hooks, modes, requires_grad, gradients, tensors."""
    hooks = tuple(
        len(hooks)
        for module in model.modules()
        for name, hooks in sorted(vars(module).items())
        if name.endswith("_hooks")
    )
    return (
        hooks,
        tuple(module.training for module in model.modules()),
        tuple((p.requires_grad, p.grad is None, p._version) for p in model.parameters()),
        tuple(b.clone().flatten().tolist() for b in model.buffers()),
        tuple(type(module) for module in model.modules()),
    )
