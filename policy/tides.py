"""A small MCP server, for `judger-agent run --demo`, spoken to over standard input and output.

Two functions over figures of the bundled collection's invented islands, so that the demo calls a real server offline.
"""

from __future__ import annotations

from mcp.server import MCPServer

__all__ = ["server"]

server = MCPServer("tides")

_RANGES = {"Voe": 2.9, "Sandwick": 3.1, "Scollay": 2.7}
_PERIOD = 12.42  # hours from one high water to the next


@server.tool()
def working_hours(place: str, pond_share: float = 0.35) -> str:
    """How long a tidal mill at a place can grind after high water, until its pond has run out.

    Args:
        place: A place of the islands.
        pond_share: The share of a tide's period for which the pond holds water, from 0 to 0.5.
    """
    if place not in _RANGES:
        raise ValueError(f"There are no figures for {place!r}. The places are: {', '.join(_RANGES)}.")
    if not 0 < pond_share <= 0.5:
        raise ValueError("pond_share must lie between 0 and 0.5.")
    hours = _PERIOD * pond_share
    return (
        f"{place}: mean range {_RANGES[place]} m; about {hours:.1f} hours of grinding in each tide of {_PERIOD} hours."
    )


if __name__ == "__main__":
    server.run()
