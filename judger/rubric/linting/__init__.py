"""Advice on a rubric, after the principles of the Step-DeepResearch report (arXiv 2512.20491, Table 5).

findings   what a finding is, and every code there is
atomic     one requirement in a criterion
wording    verifiable, unambiguous: what the words of one criterion show
whole      independent of the others, aligned with the task, weights that fit together
lint       all of it on a rubric

A command line knows the codes at once; the rules are many patterns, and are loaded from `lint` where a rubric is read.
"""

from judger.rubric.linting.findings import CODES, Finding, Severity

__all__ = ["CODES", "Finding", "Severity"]
