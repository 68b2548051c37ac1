"""A network of one's own: functional and in-place ReLUs. python 05_... [VIDEO] [PICTURE]"""

import sys

import torch
from torch import nn

import c3d_viz as viz


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 8, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3))
        self.body = nn.Sequential(nn.Conv3d(8, 16, 3, padding=1), nn.ReLU(inplace=True))
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(torch.relu(self.stem(x))).mean(dim=(2, 3, 4)))


video, start = (sys.argv[1], 0) if len(sys.argv) > 1 else viz.demo_clips()[0]
model, wants = Net().eval(), viz.InputSpec(channel_order="RGB", scale=1 / 60)
clip = viz.read_clip(video, start=start)
unit = viz.Unit("body", channel=3)  # any module's name; at its strongest position
att = viz.attribute(model, viz.preprocess(clip, wants), unit, method="guided")
strip = viz.filmstrip(viz.cropped_frames(clip, wants), att, subtitle="untrained network")
viz.write_image(sys.argv[2] if len(sys.argv) > 2 else "own.png", strip)
