"""A subnet folder whose card was changed by hand is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from search_space import UserError
from snugnet.subnet import CARD, load_subnet
from tests.spaces import every_component

CARD_OF_ONE = {
    "id": "one",
    "architecture": every_component(norm="layer").smallest().to_dict(),
    "task": {"input_shape": [1, 8, 8], "num_classes": 10},
    "files": {},
    "folded": [],
    "components": [],
}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({}, "has no model.safetensors"),
        ({"files": []}, r"files=\[\] is not readable"),
        ({"folded": 3}, "folded=3 is not readable"),
        ({"folded": ["nowhere"]}, "nowhere cannot be folded"),
        ({"components": 3}, "components=3 is not readable"),
        ({"components": ["my.mixer"]}, "needs code from outside snugnet, my.mixer"),
        ({"architecture": "small"}, "architecture='small' is not readable"),
        ({"task": {}}, "task is not readable"),
        ({"task": {"input_shape": [0, 0], "num_classes": -1}}, "is no task"),
        ({"task": {"input_shape": [1], "num_classes": 3}}, "is no task"),
    ],
)
def test_a_changed_card_is_refused(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    (tmp_path / CARD).write_text(json.dumps(CARD_OF_ONE | changes))
    with pytest.raises(UserError, match=complaint) as refusal:
        load_subnet(tmp_path)
    assert "\n" not in str(refusal.value)
