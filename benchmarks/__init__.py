"""How fast c3d_viz is, against other tools and against the machine. ``python -m benchmarks``."""
