"""Load on a running judge: what `judger bench` and the benchmarks send, and what they make of it."""

from judger.load.calls import Calls
from judger.load.figures import Figures, Histogram
from judger.load.generator import Generator, Sent

__all__ = ["Calls", "Figures", "Generator", "Histogram", "Sent"]
