"""A small causal model as a reader: one row a report, what bears on its criteria first, then a branch a criterion.

settings loads no torch; recipe is the whole of it.
"""
