"""Scored rows as the files that trainers read, with a dataset card; knows nothing of LMs."""

from structq.export.rows import ExportTally, export_rows
from structq.export.settings import ExportSettings
from structq.export.write import write_export

__all__ = ["ExportSettings", "ExportTally", "export_rows", "write_export"]
