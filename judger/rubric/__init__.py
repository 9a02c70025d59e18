"""Cases, rubrics and reports from files; what is unwise in a rubric is in `linting`, which only `judger lint` loads."""

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

__all__ = [
    "Record",
    "Rubric",
    "iter_cases",
    "iter_records",
    "read_cases",
    "read_report",
    "read_reports",
    "read_rubric",
    "read_rubrics",
]
