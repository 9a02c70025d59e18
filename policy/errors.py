"""What can go wrong in an episode, in one tree.

AgentError
+-- ToolError       a tool could not do what it was asked; becomes an observation the model can act on
+-- ModelError      the model gave no completion; ends the episode as failed
|   +-- ContextFull the prompt is longer than the model takes; the history is compacted and the turn tried again
|   +-- NoAccess    the endpoint does not take the key; every other request would end so, too
|   +-- ModelAway   the model can't be reached for now; leaves the episode as it stands, to be resumed
+-- InUse           another process works on the same file
+-- ConfigError     a setting or a file of the user is wrong; exit 2
"""

from __future__ import annotations

__all__ = ["AgentError", "ConfigError", "ContextFull", "InUse", "ModelAway", "ModelError", "NoAccess", "ToolError"]


class AgentError(Exception):
    """The root: catch it to catch all of ours."""


class ToolError(AgentError):
    """A tool refuses or fails; the message tells the model what to do instead."""


class ModelError(AgentError):
    """The model backend failed for good: retries are the backend's own business and are over."""


class ContextFull(ModelError):
    """The prompt does not fit the model's context, which is `window` tokens where that is known."""

    def __init__(self, message: str, *, window: int | None = None) -> None:
        super().__init__(message)
        self.window = window


class NoAccess(ModelError):
    """The endpoint refuses the key, or wants one: no request of ours will have a reply."""


class ModelAway(ModelError):
    """Nothing but failures that pass (no connection, overload, replies that are none) for longer than is waited."""


class InUse(AgentError):
    """Another process works on the same file."""


class ConfigError(AgentError):
    """Something the user wrote is wrong; the message names it."""
