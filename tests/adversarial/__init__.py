"""Attacks on the judge, and what has to hold under each of them for every engine."""
