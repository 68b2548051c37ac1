"""The preferred stimulus of a channel: found by gradient ascent in space and time.

``video`` is how a film is written as numbers to climb on, ``layer`` what is climbed, ``ascent`` the
climb, ``split`` takes a film apart into a picture and its motion, ``rivals`` are the clips it is
held against, ``search`` puts them together, ``page`` draws, ``run`` writes the folder.
"""

from .ascent import Ascent, Preview, climb
from .layer import Reader
from .page import strip
from .rivals import Answer, answer_to
from .run import write_stimulus
from .search import CLIPS, Search, Stimuli, StimulusSettings, find_stimulus
from .split import Split, split
from .video import FourierVideo
