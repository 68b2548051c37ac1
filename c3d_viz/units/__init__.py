"""What a unit responds to at all: kernels in motion, and what they answer to.

``spectrum`` reads one kernel off, ``kernels`` those of a network, ``sheet`` draws them; ``folder``
is what every command of this package writes.
"""

from .kernels import KernelSet, first_kernels, write_kernels
from .sheet import kernel_frames, kernel_sheet
from .spectrum import KernelReading, read_kernel
