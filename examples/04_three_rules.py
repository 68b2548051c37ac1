"""Deconvolution, guided backpropagation and gradient: the same unit, side by side as one video.

python examples/04_three_rules.py [VIDEO] [OUT]
"""

import sys
from pathlib import Path

import numpy as np

import c3d_viz as viz

video, start = (sys.argv[1], 0) if len(sys.argv) > 1 else viz.demo_clips()[0]
out = Path(sys.argv[2] if len(sys.argv) > 2 else "out/04")
out.mkdir(parents=True, exist_ok=True)

model, spec = viz.load_model("compact")
clip = viz.read_clip(video, start=start)
x = viz.preprocess(clip, spec.input)
frames = viz.cropped_frames(clip, spec.input)
unit = viz.top_units(viz.trace(model, x, ["conv4b"]), "conv4b", k=1)[0]

shown = [frames]
for method in ("deconvnet", "guided", "gradient"):
    shown.append(viz.overlay(frames, viz.attribute(model, x, unit, method=method)))
viz.write_video(out / "rules.mp4", np.concatenate(shown, axis=2), fps=clip.fps / 2, scale=2)
print(f"clip, deconvnet, guided, gradient from left to right: open {out / 'rules.mp4'}")
