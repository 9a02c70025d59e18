"""`small`: the built-in judge with a small language model that reads beside it.

rows     what bears on a report's criteria as one prefix, and a branch for each criterion
model    a causal language model that reads such rows, three outputs at the ends
adapter  what was trained of it, as it ships, added to the base's weights
base     the base model: fetched by name, checked, kept in the user's cache
engine   the engine: the built-in judge, and this reader's say in it
"""
