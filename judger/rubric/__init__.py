"""Cases, rubrics and reports from files, and what is unwise in a rubric."""

from judger.rubric.files import (
    Record,
    iter_cases,
    iter_records,
    read_cases,
    read_report,
    read_reports,
    read_rubric,
    read_rubrics,
)
from judger.rubric.formats import Rubric
from judger.rubric.linting import Finding, lint

__all__ = [
    "Finding",
    "Record",
    "Rubric",
    "iter_cases",
    "iter_records",
    "lint",
    "read_cases",
    "read_report",
    "read_reports",
    "read_rubric",
    "read_rubrics",
]
