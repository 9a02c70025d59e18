"""Several engines as one judge: a cheap level settles what is clear, a second one is asked about what is close."""

from judger.engines.cascade.engine import CascadeEngine, RemoteCascade, make_cascade
from judger.engines.cascade.settings import CascadeSettings, read_settings

__all__ = ["CascadeEngine", "CascadeSettings", "RemoteCascade", "make_cascade", "read_settings"]
