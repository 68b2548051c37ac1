"""Activation maps of a layer: every channel's answer, at the layer's own T x H x W.

python examples/03_activation_maps.py [VIDEO] [OUT] [LAYER]
"""

import sys
from pathlib import Path

import numpy as np

import c3d_viz as viz

video, start = (sys.argv[1], 0) if len(sys.argv) > 1 else viz.demo_clips()[0]
out = Path(sys.argv[2] if len(sys.argv) > 2 else "out/03")
layer = sys.argv[3] if len(sys.argv) > 3 else "conv3b"
out.mkdir(parents=True, exist_ok=True)

model, spec = viz.load_model("compact")
x = viz.preprocess(viz.read_clip(video, start=start), spec.input)
maps = viz.trace(model, x, layers=[layer]).activations[layer].numpy()  # (C, T, H, W)

print(f"{layer}: {maps.shape[0]} channels of {maps.shape[1:]} (time, height, width)")
np.save(out / f"{layer}.npy", maps)
sheet = viz.activation_sheet(maps, title=layer, subtitle=spec.weights)
viz.write_image(out / f"{layer}.png", sheet)
print(f"open {out / f'{layer}.png'}")
