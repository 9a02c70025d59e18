"""Runs that people can look at: one self-contained HTML file, the same page live, and people's verdicts that come back.

    runs      judged cases: as they come from a command, or out of files that may still grow   runs.py
    figures   leaderboard, parts, reasons, cost: with bootstrap intervals                      figures.py
    pairs     two runs on the same cases                                                       pairs.py
    people    people's verdicts: kept beside the run, exported as labelled cases, agreement    people.py
    html      the file: data as JSON in it, nothing from outside, nothing a report says runs   html.py
    page/     the page itself: a template, a style sheet, plain JavaScript

Everything here is about what has been judged; nothing is judged here.
"""

from judger.pages.figures import overview
from judger.pages.html import page_policy, render_page, write_page
from judger.pages.people import PeopleFile, export, panel
from judger.pages.runs import Entry, Growing, Run, load_run

__all__ = [
    "Entry",
    "Growing",
    "PeopleFile",
    "Run",
    "export",
    "load_run",
    "overview",
    "page_policy",
    "panel",
    "render_page",
    "write_page",
]
