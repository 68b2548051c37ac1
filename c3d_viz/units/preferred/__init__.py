"""The preferred stimulus of a channel: found by gradient ascent in space and time.

``video`` is how a film is written as numbers to climb on, ``layer`` what is climbed, ``ascent`` the
climb, ``rivals`` the clips it is held against, ``page`` the picture, ``run`` writes the folder.
"""

from .ascent import Ascent, climb
from .layer import Reader
from .rivals import Answer, answer_to
from .run import Stimuli, StimulusSettings, write_stimulus
from .video import FourierVideo
