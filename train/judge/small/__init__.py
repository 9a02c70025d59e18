"""A small causal model as a reader: one row a report, what bears on its criteria first, then a branch a criterion."""

from train.judge.small.recipe import Settings, run

__all__ = ["Settings", "run"]
