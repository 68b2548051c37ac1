"""A checkpoint that must be refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from c3d_viz.errors import WeightsError
from c3d_viz.weights import load_model


def refused(path: Path, *says: str, **options: object) -> str:
    """load_model refuses the file with one line that names it and says so."""
    with pytest.raises(WeightsError) as caught:
        load_model("c3d", path, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert len(message) < 1000
    for part in says:
        assert part in message
    return message
