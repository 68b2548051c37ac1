"""``python -m c3d_viz.cli``: the command where no script is installed."""

from .commands import main

main()
