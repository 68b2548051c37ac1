"""Class activation maps under their own name: ``c3d_viz.gradcam.grad_cam``."""

from .methods import GradCam, grad_cam

__all__ = ["GradCam", "grad_cam"]
