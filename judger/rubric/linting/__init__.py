"""Advice on a rubric, after the principles of the Step-DeepResearch report (arXiv 2512.20491, Table 5).

findings   what a finding is, and every code there is
atomic     one requirement in a criterion
wording    verifiable, unambiguous: what the words of one criterion show
whole      independent of the others, aligned with the task, weights that fit together
lint       all of it on a rubric
"""

from judger.rubric.linting.findings import CODES, Finding, Severity
from judger.rubric.linting.lint import Reader, lint

__all__ = ["CODES", "Finding", "Reader", "Severity", "lint"]
