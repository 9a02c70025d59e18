"""How many samples each filter dropped, kept for the provenance and shown as a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Funnel", "show"]


@dataclass
class Funnel:
    """Counts in the order of the filters. What is dropped is dropped by one filter: the first that objects."""

    name: str
    total: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    """The first reason that each filter gave."""

    def expect(self, *filters: str) -> None:
        """Have these in the table, in this order, though they drop nothing."""
        for name in filters:
            self.dropped.setdefault(name, 0)

    def drop(self, by: str, reason: str = "", count: int = 1) -> None:
        self.dropped[by] = self.dropped.get(by, 0) + count
        if reason:
            self.examples.setdefault(by, reason)

    @property
    def kept(self) -> int:
        return self.total - sum(self.dropped.values())

    def as_dict(self) -> dict[str, Any]:
        return {"total": self.total, "dropped": self.dropped, "kept": self.kept, "examples": self.examples}


def show(funnels: list[Funnel]) -> None:
    """Print the funnels as one table."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="What each filter dropped", title_justify="left")
    for column in ("", "filter", "dropped", "left", "for example"):
        table.add_column(column, justify="right" if column in ("dropped", "left") else "left")
    for funnel in funnels:
        left = funnel.total
        table.add_row(funnel.name, "made", "", str(left))
        for name, count in funnel.dropped.items():
            left -= count
            table.add_row("", escape(name), str(count), str(left), escape(funnel.examples.get(name, "")))
        table.add_section()
    Console().print(table)
