"""Random numbers of a transform: seeded, and different in every worker of a data loader."""

from __future__ import annotations

import torch
from torch.utils.data import get_worker_info

from neurotorch.core.seeds import torch_generator


class Randomness:
    """Generators that follow from one seed.

    In the main process there is one. A worker of a ``DataLoader`` has another in every epoch, which follows from the
    seed and from the seed that the loader gave it: set the loader's `generator` to repeat a run. A copy starts anew.

    Parameters
    ----------
    seed
        A whole number of at least 0.
    stream
        What the numbers are for; streams of one seed are independent.
    """

    def __init__(self, seed: int, stream: str) -> None:
        self.seed, self.stream = seed, stream
        self._generators: dict[str, torch.Generator] = {}
        torch_generator(seed, stream)  # a wrong seed is an error here, not at the first sample

    def __getstate__(self) -> dict[str, object]:
        return {"seed": self.seed, "stream": self.stream, "_generators": {}}

    def generator(self, given: torch.Generator | None, device: torch.device) -> torch.Generator:
        """Return `given`, or the generator of this process on `device`."""
        if given is not None:
            return given
        worker = get_worker_info()
        place = "" if worker is None else f"/worker {worker.id} of {worker.seed}"
        key = f"{self.stream}{place}"
        if f"{key} {device}" not in self._generators:
            self._generators[f"{key} {device}"] = torch_generator(self.seed, key, device=device)
        return self._generators[f"{key} {device}"]
