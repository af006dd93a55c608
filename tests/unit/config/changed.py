"""The paper's config with changes, as a second file would make them."""

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from tests.unit.settings import PAPER

from w2dual.config import reader
from w2dual.records import InputError


def load(text: str, base: Mapping[str, Any] = PAPER) -> dict[str, Any]:
    """Merge YAML over a config and check it, as `reader.load` does with files."""
    merged = reader.merge(base, yaml.safe_load(text))
    reader.validate(merged)
    return merged


def refusal(text: str, base: Mapping[str, Any] = PAPER) -> str:
    """Return what is said of a config that is refused."""
    with pytest.raises(InputError) as caught:
        load(text, base)
    return str(caught.value)
