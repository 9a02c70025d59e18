"""The tools of the agent, one file each. A tool is a typed function; `policy.tools.base` makes the schema from it."""
