"""The three methods that are one walk back from the unit to the pixels, by a rule at every ReLU.

Formulas, limits and references: ``engine/rules.py`` and docs/backprop.md; the engines walk.
"""

from __future__ import annotations

from .types import Method

DECONVNET = Method(
    "Deconvolution",
    "Sends a signal back from the unit, whatever it answers, and keeps, at every ReLU, only what "
    "is positive on the way back.",
    "Zeiler and Fergus 2014, Visualizing and Understanding Convolutional Networks",
    rule="deconvnet",
    needs_relus=True,
)
GUIDED = Method(
    "Guided backpropagation",
    "As the deconvolution, and only through ReLUs that let their input through in the forward "
    "pass.",
    "Springenberg et al. 2015, Striving for Simplicity: The All Convolutional Net",
    rule="guided",
    needs_relus=True,
)
GRADIENT = Method(
    "Gradient",
    "How the unit's activation changes when a pixel changes a little.",
    "Simonyan et al. 2014, Deep Inside Convolutional Networks",
    rule="gradient",
)
