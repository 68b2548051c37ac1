"""Static or dynamic? What channels share over pairs of clips that share one factor only.

``pairs`` makes the clips and tells the kinds, ``run`` writes a folder. The finding has them too.
"""

from .pairs import KINDS, ROLES, answers, classify, paired_clips, shares
from .run import SharingSettings, write_sharing
