"""The dashboard. Views draw, ``c3d_viz`` computes: nothing in this package touches a tensor."""
