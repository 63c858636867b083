"""How much memory a computation needs at its worst moment, by counting the tensors that are alive."""

from __future__ import annotations

import weakref
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class PeakMemory(TorchDispatchMode):
    """A context that counts the bytes of all tensors made inside it and alive at once.

    It sees what torch operations take and return, on every device: tensors that existed before are not counted,
    and neither are buffers inside a single operation nor memory that is not a tensor's. It slows down what it watches:
    take times apart.

    Attributes
    ----------
    bytes
        The largest count so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0
        self._alive = 0
        self._known: dict[int, tuple[int, weakref.finalize[..., Any]]] = {}

    def __exit__(self, *error: Any) -> None:
        """Stop watching."""
        for _, watcher in self._known.values():
            watcher.detach()
        self._known = {}
        super().__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call `func`, and count the storages that it made."""
        del types
        kwargs = kwargs or {}
        self._note((args, kwargs), new=False)
        result = func(*args, **kwargs)
        self._note(result, new=True)
        return result

    def _note(self, tree: Any, *, new: bool) -> None:
        for tensor in tree_leaves(tree):
            # Storages know their Python object as long as they live, whoever holds them.
            if isinstance(tensor, Tensor) and id(storage := tensor.untyped_storage()) not in self._known:
                size = storage.nbytes() if new else 0
                self._known[id(storage)] = (size, weakref.finalize(storage, self._forget, id(storage)))
                self._alive += size
                self.bytes = max(self.bytes, self._alive)

    def _forget(self, storage: int) -> None:
        size, _ = self._known.pop(storage)
        self._alive -= size


def peak_memory(function: Any, *arguments: Any) -> int:
    """Return the bytes that ``function(*arguments)`` needs at its worst moment, as `PeakMemory` counts them."""
    with PeakMemory() as memory:
        function(*arguments)
    return memory.bytes
