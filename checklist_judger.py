"""The name that verifiers' plug-in id `checklist-judger` is looked up under: it has to be a top-level module."""

from judger.integrations.verifiers import ChecklistJudge

__all__ = ["ChecklistJudge"]
