"""Whether bfloat16 is worth asking for here: measured once a process, not guessed from a name.

A processor without bfloat16 instructions (AVX2 only: most laptops, many servers) emulates them and
takes several times as long as for float32. No public call of PyTorch tells, and a name in a list
would age; a convolution of either kind takes a few milliseconds and cannot be wrong.
"""

from __future__ import annotations

import functools
import time
from typing import Literal

import torch

Precision = Literal["float32", "bf16"]

_WORTH = 0.9  # bfloat16 has to take less than this share of float32's time
_ROUNDS = 4


@functools.cache
def bf16_share(device: str = "cpu") -> float:
    """Time of a bfloat16 convolution as a share of the same one's in float32; the best of a few.

    Args:
        device: type of the device, "cpu" or "cuda". On CUDA nothing is measured: 0.5 where
            bfloat16 is built in, 2 where it is emulated.
    """
    if device == "cuda":
        return 0.5 if torch.cuda.is_bf16_supported(including_emulation=False) else 2.0
    convolution = torch.nn.Conv3d(32, 32, 3, padding=1, device=device)
    clip = torch.ones(1, 32, 4, 28, 28, device=device)
    best: dict[torch.dtype, float] = {}
    with torch.no_grad():
        for number in range(_ROUNDS + 1):
            for dtype in (torch.float32, torch.bfloat16):  # in turn: the machine's speed drifts
                layer, x = convolution.to(dtype), clip.to(dtype)
                began = time.perf_counter()
                layer(x)
                took = time.perf_counter() - began
                if number:  # the first of each prepares kernels
                    best[dtype] = min(took, best.get(dtype, took))
    return best[torch.bfloat16] / best[torch.float32]


def settled(precision: Precision, device: str = "cpu") -> tuple[Precision, str | None]:
    """The precision to use where ``precision`` was asked for, and a note where it is another one.

    Returns:
        ("float32", note) where bfloat16 would be no faster here, else (precision, None).
    """
    if precision == "float32":
        return precision, None
    share = bf16_share(device)
    if share < _WORTH:
        return precision, None
    return "float32", (
        f"bf16 takes {share:.1f} times as long as float32 on this processor: float32 was used"
    )
