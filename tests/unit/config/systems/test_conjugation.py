"""Studies of conjugation: what is refused, and by which words."""

import pytest
from tests.unit.config.changed import load, refusal


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{lbfgs: adam}", "`conjugation.lbfgs`: solver `adam` is of kind `adam`; expected"),
        ("{adam: mine}", "`conjugation.adam`: unknown name `mine`; `solvers` has"),
        ("{method: {solver: mine}}", "`conjugation.method.solver`: unknown name `mine`"),
        ("{points: 20000}", "`conjugation.points`: 20000 is more than `hd.evaluation.samples`"),
        ("{line_search: {rows: [mine]}}", "`conjugation.line_search.rows.0`: 'mine' is not"),
    ],
)
def test_a_config_that_cannot_be_studied_is_refused(text: str, message: str) -> None:
    assert message in refusal(f"conjugation: {text}")


def test_there_are_as_many_images_as_points_where_there_are_cells_of_images() -> None:
    many = "conjugation: {points: 1025}"
    message = refusal(many)
    assert "1025 is more than `celeba64.evaluation.history_samples` = 1024" in message
    load(f"{many}\nceleba64: {{generators: []}}")
