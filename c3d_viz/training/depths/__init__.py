"""Which temporal kernel depth? The paper's study (Tran et al. 2015, section 3.2), synthetic.

``net`` is the small network at every depth, ``clips`` renders once what all of them see, ``plan``
has the settings, ``study`` trains them side by side, ``judge`` compares, ``show`` draws.
docs/depth-study.md has the rule of comparison.
"""

from .net import DEPTHS, DepthNet
from .plan import Plan
from .study import run
