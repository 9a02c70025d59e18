"""What the reader is trained on, one lesson at a time: from labels as they are, and from what rules make of them.

`Older` draws from labels of claims and answers, `Rubrics` from criteria on long reports. Classes are balanced within a
source, and in rubrics within a kind, so that a kind's base rate teaches nothing: claims among themselves, the other
kinds each by itself.
"""

from train.judge.draw.older import Lesson, Older
from train.judge.draw.rubrics import CLAIM_KINDS, Both, Rubrics, rows

__all__ = ["CLAIM_KINDS", "Both", "Lesson", "Older", "Rubrics", "rows"]
