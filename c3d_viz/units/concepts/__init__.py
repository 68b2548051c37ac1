"""Which concept of exactly labelled clips a channel overlaps most (docs/units.md, Concepts).

``clips`` are the labelled clips of a run, ``overlap`` measures, ``run`` writes the folder.
"""

from .clips import ConceptClips, concept_names, library_digest
from .overlap import Concepts, concepts_of
from .run import ConceptSettings, write_concepts
