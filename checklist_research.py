"""The name that verifiers' plug-in id `checklist-research` is looked up under: it has to be a top-level module."""

from train.environments.verifiers import ResearchHarness, ResearchTaskset

__all__ = ["ResearchHarness", "ResearchTaskset"]
