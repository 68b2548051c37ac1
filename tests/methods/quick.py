"""Settings under which methods of many passes make few, for tests of what holds for any number."""

from __future__ import annotations

QUICK: dict[str, dict[str, object]] = {
    "integrated_gradients": {"steps": 4},
    "smoothgrad": {"samples": 3},
    "smoothgrad_squared": {"samples": 3},
    "occlusion": {"window": (4, 4, 4), "stride": (4, 4, 4)},
    "rise": {"masks": 8, "grid": (2, 3, 3)},
}
