"""Reads `.csv` and `.tsv`: one table, called "array", with or without a header row and a first column of labels.

- A header row (any cell of the first row that is not a number) names the columns: "column names".
- A first column of text names the rows: "row names".
- A first column with the header `time`, `t`, `time_s` or `time (s)` holds the time of each frame in seconds: the file
  then says that time runs downwards.
- Empty cells and `NaN` are NaN.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neurotorch.data.readers.contents import Contents, damaged, entry

TIME_HEADERS = ("time", "t", "time_s", "time (s)")
COUNTERS = ("time", "frame", "index", "unnamed")


def read_csv(path: Path) -> Contents:
    """Return the table of a text file and the names in it.

    Raises
    ------
    ValueError
        If the rows differ in length, a cell is not a number, or the first column looks like a clock or a counter
        without saying seconds.
    """
    import pandas as pd

    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        table = pd.read_csv(path, sep=separator, header=None, dtype=str, skipinitialspace=True, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise damaged(path, "a table of numbers", error) from error
    cells = table.fillna("").to_numpy(dtype=str)
    header = _has_header(cells)
    columns = cells[0] if header else None
    body = cells[1:] if header else cells
    if len(body) == 0:
        raise ValueError(f"{path} holds a header and no rows of numbers.")
    found: dict[str, np.ndarray] = {}
    first_row = 2 if header else 1
    clock = columns is not None and columns[0].strip().lower() in TIME_HEADERS
    labels = not clock and not any(_is_number(cell) for cell in body[:, 0])
    if clock:
        found["time"] = _numbers(path, body[:, :1], columns, first_row)[:, 0]
        found["axes"] = np.array("time,neuron")
    elif labels:
        found["row names"] = body[:, 0]
    elif columns is not None:
        _refuse_counter(path, columns[0])
    skip = int(clock or labels)
    if cells.shape[1] == skip:
        raise ValueError(
            f"{path} holds no column of numbers; its first line is {str(cells[0, 0])[:60]!r}. Cells must be separated "
            f"by {separator!r}."
        )
    if columns is not None:
        found["column names"] = columns[skip:]
        columns = columns[skip:]
    found["array"] = _numbers(path, body[:, skip:], columns, first_row)
    return {name: entry(array) for name, array in found.items()}


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _has_header(cells: np.ndarray) -> bool:
    # With a first column of labels, only the other cells tell whether the first row is a header.
    judged = cells[0, 1:] if cells.shape[1] > 1 else cells[0]
    return any(cell != "" and not _is_number(cell) for cell in judged)


def _refuse_counter(path: Path, header: str) -> None:
    if header == "" or header.lower().startswith(COUNTERS):
        raise ValueError(
            f"The first column of {path} is named {str(header)!r}: it looks like a clock or a counter and not like a "
            "neuron. Name it 'time' if it holds seconds, or remove it."
        )


def _numbers(path: Path, cells: np.ndarray, columns: np.ndarray | None, first_row: int) -> np.ndarray:
    import pandas as pd

    text = pd.DataFrame(cells)
    values = text.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    wrong = np.isnan(values) & ~np.isin(np.char.lower(cells.astype(str)), ("", "nan", "na", "n/a"))
    if wrong.any():
        row, column = (int(index) for index in np.argwhere(wrong)[0])
        name = repr(str(columns[column])) if columns is not None else str(column + 1)
        hint = " Its cells hold ';': save it with ',' between them." if ";" in cells[row, column] else ""
        raise ValueError(
            f"{path} holds {str(cells[row, column])!r} in line {row + first_row}, column {name}, which is not a "
            f"number.{hint}"
        )
    return values
