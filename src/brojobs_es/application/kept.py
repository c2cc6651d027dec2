"""What this process keeps in memory of what people wrote, bounded, and dropped when somebody is erased."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Values by key, the least recently used ones dropped first.

    A value holds words that were opened under an epoch of the vault; all are dropped when that grows.
    """

    def __init__(self, weight_max: int, weight: Callable[[V], int] = lambda _: 1) -> None:
        self._weight_max = weight_max
        self._weigh = weight
        self._weight = 0
        self._epoch = 0
        self._values: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K, epoch: int) -> V | None:
        """The value as it was kept under this epoch."""
        self._move_to(epoch)
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def keep(self, key: K, value: V, epoch: int) -> None:
        """Keep a value; what was opened under an older epoch is not kept, nor what would push out all others."""
        self._move_to(epoch)
        if epoch < self._epoch:
            return
        self.drop(key)
        weight = self._weigh(value)
        if weight > self._weight_max:
            return
        self._values[key] = value
        self._weight += weight
        while self._weight > self._weight_max:
            _, oldest = self._values.popitem(last=False)
            self._weight -= self._weigh(oldest)

    def drop(self, key: K) -> None:
        """Forget a value."""
        value = self._values.pop(key, None)
        if value is not None:
            self._weight -= self._weigh(value)

    def _move_to(self, epoch: int) -> None:
        if epoch > self._epoch:
            self._values.clear()
            self._weight, self._epoch = 0, epoch
