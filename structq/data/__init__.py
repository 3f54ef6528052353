"""Rows in files: read, check and write JSON Lines, one row at a time; knows nothing of LMs."""

from structq.data.contracts import EVOLVING, SCORING, Contract, Fault
from structq.data.reader import Row, read_jsonl
from structq.data.writer import JsonlWriter, write_jsonl

__all__ = [
    "EVOLVING",
    "SCORING",
    "Contract",
    "Fault",
    "JsonlWriter",
    "Row",
    "read_jsonl",
    "write_jsonl",
]
