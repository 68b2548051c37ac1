"""``python -m c3d_viz.training``."""

import sys

from .commands import main

sys.exit(main())
