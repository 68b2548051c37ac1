"""Settings under which methods of many passes make few, for tests of what holds for any number."""

from __future__ import annotations

QUICK: dict[str, dict[str, object]] = {"integrated_gradients": {"steps": 4}}
