"""The page of one channel: everything this package can say of it, and one sentence.

``evidence`` measures, ``summary`` sums up, ``parts`` has pictures and tables, ``page``
writes one file that needs no other.
"""

from .evidence import Evidence, ReportSettings, gather
from .page import report_command, write_report
from .parts import KERNEL_NOTE, concept_rows, films, index_rows, kernel_picture, tuning_pictures
from .summary import caution, sentence
