"""Tables of calls that are refused, each with what the error must say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest


def refused(error: type[Exception], cases: Mapping[str, tuple[Callable[[], Any], str]]) -> Callable[..., None]:
    """Return a test that makes each call of a table and wants its error."""

    @pytest.mark.parametrize("case", cases)
    def test(case: str) -> None:
        call, message = cases[case]
        with pytest.raises(error, match=message):
            call()

    return test
