"""The page of one channel: everything this package can say of it, and one sentence.

``evidence`` measures, ``summary`` sums up, ``page`` writes one file that needs no other.
"""

from .evidence import Evidence, ReportSettings, gather
from .page import write_report
from .summary import sentence
