"""What a unit responds to at all: kernels, tuning, preferred stimulus, concepts.

``spectrum`` reads one kernel off, ``kernels`` those of a network, ``sheet`` draws them; ``tuning``
has the responses to drifting patterns against untrained networks; ``preferred`` finds the film that
a channel answers to most, ``concepts`` the labels it overlaps with, ``sharing`` whether it follows
looks or motion; ``report`` puts it all on one page; ``folder`` is what every command of this
package writes.
"""

from .concepts import (
    ConceptClips,
    Concepts,
    ConceptSettings,
    concepts_of,
    write_concepts,
)
from .kernels import KernelSet, first_kernels, write_kernels
from .pieces import Keep
from .preferred import (
    FourierVideo,
    Reader,
    Stimuli,
    StimulusSettings,
    climb,
    strip,
    write_stimulus,
)
from .report import (
    KERNEL_NOTE,
    Evidence,
    ReportSettings,
    caution,
    concept_rows,
    films,
    gather,
    index_rows,
    kernel_picture,
    report_command,
    sentence,
    tuning_pictures,
    write_report,
)
from .sharing import KINDS, SharingSettings, answers, paired_clips, shares, write_sharing
from .sheet import kernel_frames, kernel_sheet
from .spectrum import KernelReading, read_kernel
from .tuning import (
    Comparison,
    Responses,
    Tuning,
    TuningSettings,
    compare,
    respond,
    tuning_of,
    untrained,
    write_tuning,
)
