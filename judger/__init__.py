"""checklist-judger: which items of this checklist does this report satisfy?"""

from judger.version import __version__

__all__ = ["__version__"]
