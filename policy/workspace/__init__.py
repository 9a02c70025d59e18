"""The agent's files: read and written in one folder (`files`), edited by anchor (`patch`), taken away (`removal`)."""
