"""All layers of every clip in a folder: a tree of saliency maps, one folder and page a clip.

python examples/02_folder_to_saliency.py [FOLDER] [OUT]

A clip that cannot be read is reported, and the next one is taken. Run again, it goes on where it
stopped. The command c3d-viz export does the same for one clip.
"""

import sys
from pathlib import Path

import c3d_viz as viz

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else viz.demo_clips()[0][0].parent
out = Path(sys.argv[2] if len(sys.argv) > 2 else "out/02")
KINDS = {".mp4", ".mov", ".avi", ".mkv", ".webm", ".gif"}

loaded = viz.load_model("compact")  # once, for all clips
for video in sorted(p for p in folder.iterdir() if p.suffix.lower() in KINDS):
    try:
        manifest = viz.export_clip(
            video, out / video.stem, layers="all", top=1, loaded=loaded, resume=True
        )
        print(f"{video.name}: {manifest.parent / 'index.html'}")
    except viz.VizError as error:
        print(f"{video.name}: left out: {error}")
