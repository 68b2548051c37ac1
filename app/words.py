"""Explanations, in plain words with the technical term."""

from __future__ import annotations

DECONVOLUTION = """
A layer of the network answers with numbers, not with pictures. To see what one number is about, we
walk back: keep **one** answer (one cell of one *feature map*), set all others to zero, and send it
backwards through the same filters until pixels come out. Bright pixels are those that this answer
came from.

That walk is called *deconvolution* or *back-projection* (Zeiler and Fergus 2014). It is what the
C3D paper's Figure 4 shows. The methods offered here differ only in what they let through at each
step back.
"""

SIXTEEN = """
C3D was built for short clips: it takes 16 frames at once, about half a second of video, and its
filters run over time as they run over the picture. That is how it can tell moving from standing
still. A longer video is looked at window by window: move the window on the timeline.

Each frame is scaled to 171 × 128 pixels and its middle 112 × 112 pixels are cut out. Nothing
outside of them can have an influence.
"""

FEATURE_MAP = """
A *feature map* is one filter's answer at every place and time step of its layer. Deeper layers have
more maps and fewer places: what is gained in meaning is lost in position. A conv5b map has only
2 time steps and 7 × 7 places, so a picture of it that looks sharp in time was interpolated. The
back-projection is not: it is computed in the 16 frames of the clip itself.
"""

METHODS = """
All methods send the same answer back through the same weights. They differ at the network's
switches (ReLUs), which let positive numbers through:

* **Deconvolution** keeps what is positive on the way back.
* **Guided backpropagation** also needs the switch to have been open on the way there.
* **Gradient** asks how the answer changes when a pixel changes a little.

Deconvolution and guided backpropagation draw sharp pictures of *any* weights, also of random ones.
So compare with the untrained network before you believe a picture.
"""
