"""Rows in files of every format: read, mapped, checked and written; knows nothing of LMs."""

from structq.data.contracts import EVOLVING, SCORING, Contract, Fault
from structq.data.files import FORMATS, Row, format_of, read_rows, write_rows
from structq.data.jsonl import to_line
from structq.data.mapping import ColumnMap

__all__ = [
    "EVOLVING",
    "FORMATS",
    "SCORING",
    "ColumnMap",
    "Contract",
    "Fault",
    "Row",
    "format_of",
    "read_rows",
    "to_line",
    "write_rows",
]
