"""The tensors that the files of these tests hold."""

from __future__ import annotations

import pytest
from checkpoint_files import Weights, canonical


@pytest.fixture(scope="module")
def weights() -> Weights:
    return canonical()
