"""Answers on disk before anything depends on them; knows nothing of modules, LMs and files of rows.

One SQLite file holds what one configuration has been answered: whoever goes on with it asks only
for what is missing.
"""

from structq.journal.lms import describe_lm
from structq.journal.snapshot import is_journal, journal_as_it_is
from structq.journal.store import Journal, RowState

__all__ = ["Journal", "RowState", "describe_lm", "is_journal", "journal_as_it_is"]
