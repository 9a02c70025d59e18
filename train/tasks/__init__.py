"""Tasks with rubrics by two-step reverse synthesis (Step-DeepResearch, arXiv 2512.20491, section 4.3.1)."""
