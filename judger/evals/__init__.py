"""Evaluation: benchmarks' scores, blind comparisons and rankings, and what changed from one judge to another.

runfile           run files: cases with their judgement, one a line
scores            scores of judged tasks: all, by axis and domain, of several systems
votes             the answers of people and judges to "which of two reports": files, blind pairs
ranking           win-tie-loss, position bias, Bradley-Terry ratings on Elo's scale
page              the blind voting page
changes           two judges' verdicts side by side
"""
