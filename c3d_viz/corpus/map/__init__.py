"""Videos on a map, by their vectors."""

from .arrange import Arranged, Classified, Table, arrange, classify, read_table
from .make import MapReport, write_map
