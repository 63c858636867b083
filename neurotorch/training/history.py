"""The history of a fit: one row per epoch, as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from neurotorch.core.checks import nearest
from neurotorch.core.storage import PathLike, write_atomically

if TYPE_CHECKING:
    import pandas as pd


class History:
    """Rows of numbers by name, one per finished epoch: ``epoch`` (from 1), ``loss``, its terms, metrics, seconds."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def append(self, row: Mapping[str, float]) -> None:
        """Add the row of an epoch."""
        self.rows.append(dict(row))

    def column(self, name: str) -> list[float]:
        """Return the values of `name` in all rows that have it.

        Raises
        ------
        ValueError
            If no row has it.
        """
        values = [row[name] for row in self.rows if name in row]
        if not values:
            names = list(dict.fromkeys(key for row in self.rows for key in row))
            raise ValueError(f"The history has no column {name!r}; it has {names}.{nearest(name, names)}")
        return values

    def to_frame(self) -> pd.DataFrame:
        """Return a table with one row per epoch."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def write_csv(self, path: PathLike) -> None:
        """Write the table, atomically; NaN is written as ``nan``, and numbers read back exactly."""
        write_atomically(path, lambda temporary: self.to_frame().to_csv(temporary, index=False, na_rep="nan"))

    def state_dict(self) -> dict[str, Any]:
        """Return the rows."""
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replace the rows by those of `state`."""
        self.rows = [dict(row) for row in state["rows"]]

    def __getitem__(self, index: int) -> dict[str, float]:
        return self.rows[index]

    def __iter__(self) -> Iterator[dict[str, float]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"History({len(self)} epochs{f', last {self.rows[-1]}' if self.rows else ''})"
