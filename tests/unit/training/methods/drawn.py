"""Points of a step that are there already, for tests of methods that draw theirs."""

from typing import Any, NamedTuple


class Drawn(NamedTuple):
    """Points, each index its own: (indices, seeds, batch, n); keys (seeds, parts), if any."""

    x: Any
    y: Any
    keys: Any = None
    pair: Any = None

    def source(self, index: Any = 0) -> Any:
        return self.x[index]

    def target(self, index: Any = 0) -> Any:
        return self.y[index]

    def truth(self, x: Any) -> Any:
        raise AssertionError("none of these methods may know it")

    def more_keys(self) -> Any:
        assert self.keys is not None, "a method that is given none draws anything else by keys"
        return self.keys
