"""One unit of one clip: the strongest unit of conv5b, and what it saw.

python examples/01_one_unit.py [VIDEO] [OUT]
"""

import sys
from pathlib import Path

import c3d_viz as viz

video, start = (sys.argv[1], 0) if len(sys.argv) > 1 else viz.demo_clips()[0]
out = Path(sys.argv[2] if len(sys.argv) > 2 else "out/01")
out.mkdir(parents=True, exist_ok=True)

model, spec = viz.load_model("compact")
clip = viz.read_clip(video, start=start)
x = viz.preprocess(clip, spec.input)

trace = viz.trace(model, x, layers=["conv5b"])
unit = viz.top_units(trace, "conv5b", k=1)[0]
att = viz.attribute(model, x, unit, method="deconvnet")
print(f"{unit.layer} channel {unit.channel} at {att.unit.at}: activation {att.activation:.3g}")

frames = viz.cropped_frames(clip, spec.input)
viz.write_video(out / "overlay.mp4", viz.overlay(frames, att), fps=clip.fps)
viz.write_image(out / "filmstrip.png", viz.filmstrip(frames, att, subtitle=spec.weights))
print(f"weights: {spec.weights}; open {out / 'overlay.mp4'}")
