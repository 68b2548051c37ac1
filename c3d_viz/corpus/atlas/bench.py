"""What a process has at hand for an atlas: the network, loaded once, and where parts are kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...nets import ReceptiveField
from ..listener import Listener, peak_of_positions
from .settings import AtlasSettings


class Bench:
    """A network that listens to videos and goes back to their pixels.

    Attributes:
        fields: receptive field of each layer of the atlas, in order.
        parts: folder of what is kept on the way; ``scan_key`` and ``draw_key`` begin the names.
    """

    def __init__(
        self,
        settings: AtlasSettings,
        fields: Mapping[str, ReceptiveField | None],
        parts: Path,
        scan_key: str,
        draw_key: str,
    ) -> None:
        model, spec = settings.network.load()
        self.model = model.to(settings.device)
        self.settings, self.fields, self.parts = settings, fields, parts
        self.scan_key, self.draw_key = scan_key, draw_key
        self.listener = Listener(self.model, spec, list(fields), settings.batch, peak_of_positions)
