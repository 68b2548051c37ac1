"""Make the README's picture again with the shipped weights: python tools/make_images.py"""

from __future__ import annotations

from pathlib import Path

import c3d_viz as viz

OUT = Path(__file__).resolve().parent.parent / "docs" / "images"
LAYER, METHOD = "conv5b", "deconvnet"


def main() -> None:
    """Write docs/images/conv5b.png: the clip, and the three strongest maps of conv5b."""
    OUT.mkdir(parents=True, exist_ok=True)
    model, spec = viz.load_model("compact")
    path, start = viz.demo_clips()[1]
    clip = viz.read_clip(path, start=start)
    x = viz.preprocess(clip, spec.input)
    units = viz.top_units(viz.trace(model, x, [LAYER]), LAYER, k=3)
    sheet = viz.contact_sheet(
        viz.cropped_frames(clip, spec.input),
        list(viz.attribute_many(model, x, units, METHOD)),
        title=f"{LAYER} · {viz.METHODS[METHOD].title} · {clip.name}, frames {start}-{start + 15}",
        subtitle=f"weights: {spec.weights}",
        numbers=range(start, start + 16),
        tile=144,
    )
    viz.write_image(OUT / f"{LAYER}.png", sheet)


if __name__ == "__main__":
    main()
