"""Make the atlas that ships with the dashboard: PYTHONPATH=. python tools/sample_atlas.py

It is of ``compact`` over the dashboard's samples and some synthetic clips. The tables alone are
kept: films would be forty times as large, and the page draws a window when it is looked at.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from app.atlas import SHIPPED, more
from app.samples import samples, stored
from c3d_viz.cli.corpus import processors
from c3d_viz.corpus import AtlasSettings, write_atlas

TABLES = ("atlas.json", "index.parquet", "maps.parquet")


def main() -> None:
    """Write app/assets/atlas."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for key, sample in {**samples(), **more()}.items():
            made = stored(key, sample, folder).path
            if made.parent != folder:
                shutil.copyfile(made, folder / f"{key}{made.suffix}")
        os.chdir(folder)
        videos = sorted(path.name for path in folder.iterdir())
        write_atlas(videos, "atlas", AtlasSettings(top=6), jobs=processors(), progress=print)
        SHIPPED.mkdir(parents=True, exist_ok=True)
        for table in TABLES:
            shutil.copyfile(folder / "atlas" / table, SHIPPED / table)
        size = sum(file.stat().st_size for file in (folder / "atlas").rglob("*.mp4"))
        print(f"left out: films of {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
