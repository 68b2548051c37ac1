"""What the tests of corpora share."""

from __future__ import annotations

import sys
import types

import pytest


@pytest.fixture(autouse=True)
def main_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that are spawned run ``__main__`` again; a page under test leaves its own there."""
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
