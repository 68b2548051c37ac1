"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

# Called as (done, total, what): steps or bytes done, their number (0 where nobody knows it), and
# what was done last, for people. It may raise to stop the work.
Progress = Callable[[int, int, str], None]
