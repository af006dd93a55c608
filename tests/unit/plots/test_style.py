"""What is said at a figure's foot can be read, however much it is."""

from pathlib import Path

import matplotlib.image
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from w2dual.plots import style

WORDS = r"$\hat{x}(y)$ not converged: 120 of 512 points (images 120); reduced budget: preset smoke"


@pytest.mark.parametrize("width", [style.COLUMN_WIDTH_IN, 7.0])
@pytest.mark.parametrize("times", [1, 3])
def test_a_foot_is_within_the_page_and_the_page_grows_by_its_lines(
    width: float, times: int, tmp_path: Path
) -> None:
    pdf, png = tmp_path / "drawn.pdf", tmp_path / "drawn.png"
    with style.style():
        figure = Figure(figsize=(width, 1.0))
        style.foot(figure, "; ".join([WORDS] * times))
        (text,) = figure.texts
        lines = text.get_text().count("\n") + 1
        box = text.get_window_extent(FigureCanvasAgg(figure).get_renderer())
        style.save(figure, pdf, png)
    assert 0 <= box.x0 < box.x1 <= width * figure.dpi
    assert box.y1 <= 1.2 * style.LINE_IN * figure.dpi  # all but a line is below the figure
    tall, wide, _ = matplotlib.image.imread(png).shape
    assert wide == pytest.approx(width * style.PNG_DPI, abs=1)
    page = 1.0 + (lines - 1) * style.LINE_IN
    assert tall == pytest.approx(page * style.PNG_DPI, abs=2)
    assert box.y0 >= (1.0 - page) * figure.dpi
    assert (lines > 1) == (times > 1 or width < 4)
