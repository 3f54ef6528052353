"""One self-contained HTML file of runs, a search for templates, a judge check; asks no LM."""

from structq.report.write import write_report

__all__ = ["write_report"]
