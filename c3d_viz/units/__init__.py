"""What a unit responds to at all: kernels in motion, tuning curves.

``spectrum`` reads one kernel off, ``kernels`` those of a network, ``sheet`` draws them; ``tuning``
has the responses to drifting patterns against untrained networks; ``folder`` is what every command
of this package writes.
"""

from .kernels import KernelSet, first_kernels, write_kernels
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
