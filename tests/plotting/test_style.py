"""The look of figures, and that drawing them leaves nothing behind."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
from collections.abc import Callable

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from neurotorch import plotting
from neurotorch.plotting.style import BASELINES, MODEL, OTHERS, RECORDED, WITHOUT_CONNECTIONS, number
from tests.plotting import fake


def _every_figure(random: np.random.Generator) -> dict[str, Callable[..., object]]:
    """A call of each public function that draws; keyword arguments are passed on."""
    traces, (weight, signs) = fake.traces(random), fake.weights(random)
    recorded, model, scores = traces["recorded"], traces["model"], traces["scores"]
    time = {"dt": 0.5, "split": 40}
    return {
        "plot_ablation": lambda **k: plotting.plot_ablation(fake.ablations(weakest=1, random=3), **k),
        "plot_accuracy_cost": lambda **k: plotting.plot_accuracy_cost(fake.costs(), **k),
        "plot_confusion": lambda **k: plotting.plot_confusion(fake.confusion(random), **k),
        "plot_balance": lambda **k: plotting.plot_balance(recorded[:, 0] ** 2, -(model[:, 0] ** 2), dt=0.5, **k),
        "plot_connectivity": lambda **k: plotting.plot_connectivity(weight, signs=signs, **k),
        "plot_eigenvalues": lambda **k: plotting.plot_eigenvalues(weight, **k),
        "plot_held_out": lambda **k: plotting.plot_held_out(fake.held_out(), dt=0.5, **k),
        "plot_horizons": lambda **k: plotting.plot_horizons(fake.held_out(), dt=0.5, **k),
        "plot_input_output": lambda **k: plotting.plot_input_output(
            fake.spikes(random, rows=100), fake.spikes(random), dt=0.01, readout=fake.readout(random), label=1, **k
        ),
        "plot_learning": lambda **k: plotting.plot_learning(fake.history(), scores=("r2",), **k),
        "plot_membranes": lambda **k: plotting.plot_membranes(*fake.membranes(), dt=0.01, neurons=[0, 2], **k),
        "plot_overview": lambda: plotting.plot_overview(**traces, held_out=fake.held_out(), **time, weight=weight),
        "plot_raster": lambda **k: plotting.plot_raster(fake.spikes(random), dt=0.01, **k),
        "plot_recovery": lambda **k: plotting.plot_recovery(weight, 2 * weight, signs=signs, **k),
        "plot_seeds": lambda **k: plotting.plot_seeds({"a": [fake.history()] * 2}, column="loss", **k),
        "plot_regions": lambda **k: plotting.plot_regions(weight, {"a": range(5), "b": range(5, 10)}, **k),
        "plot_skill": lambda **k: plotting.plot_skill(fake.held_out(), dt=0.5, **k),
        "plot_trace": lambda **k: plotting.plot_trace(recorded[:, 0], model[:, 0], **time, **k),
        "plot_traces": lambda **k: plotting.plot_traces(recorded, model, scores=scores, **time, **k),
        "plot_weights": lambda **k: plotting.plot_weights(weight, signs=signs, **k),
    }


FIGURES = sorted(_every_figure(np.random.default_rng(0)))
SEVERAL = {
    "plot_accuracy_cost": 2,
    "plot_connectivity": 2,
    "plot_held_out": 2,
    "plot_input_output": 3,
    "plot_learning": 2,
    "plot_membranes": 2,
    "plot_traces": 3,
}


def _axes(drawn: object) -> list:
    return list(drawn.values()) if isinstance(drawn, dict) else list(drawn) if isinstance(drawn, tuple) else [drawn]


def test_every_public_function_is_drawn_here():
    assert [name for name in sorted(plotting.__all__) if name.startswith("plot_")] == FIGURES


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_labels_and_leaves_nothing_behind(name, random):
    before, open_figures = dict(mpl.rcParams), plt.get_fignums()
    axes = _axes(_every_figure(random)[name]())
    assert axes[0].figure.figure.get_layout_engine() is not None
    axes[0].figure.figure.savefig(io.BytesIO())
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == open_figures
    assert all(ax.get_ylabel() for ax in axes)
    assert axes[-1].get_xlabel()


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_cut_off_and_no_tick_label_overlaps(name, random):
    figure = _axes(_every_figure(random)[name]())[0].figure.figure
    figure.draw_without_rendering()
    inside = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert inside.x0 >= 0
    assert inside.y0 >= 0
    assert inside.x1 <= width
    assert inside.y1 <= height
    for ax in figure.axes:
        for labels, side in ((ax.get_xticklabels(), 0), (ax.get_yticklabels(), 1)):
            boxes = [label.get_window_extent() for label in labels if label.get_text() and label.get_visible()]
            limits = sorted((box.x0, box.x1) if side == 0 else (box.y0, box.y1) for box in boxes)
            assert all(this[1] <= following[0] for this, following in itertools.pairwise(limits))


@pytest.mark.parametrize("name", [name for name in FIGURES if name != "plot_overview"])
def test_it_draws_into_axes_that_are_given(name, random):
    figure = Figure()
    if name in SEVERAL:
        given = list(figure.subplots(1, SEVERAL[name]))
        assert _axes(_every_figure(random)[name](axes=given)) == given
        with pytest.raises(ValueError, match=f"`axes` holds 1 axes, but this figure needs {SEVERAL[name]}"):
            _every_figure(random)[name](axes=given[:1])
    else:
        given = figure.subplots()
        assert _every_figure(random)[name](ax=given) is given


@pytest.mark.parametrize("name", FIGURES)
def test_the_users_settings_do_not_change_a_new_figure(name, seed):
    def pixels() -> bytes:
        figure = _axes(_every_figure(np.random.default_rng(seed))[name]())[0].figure.figure
        file = io.BytesIO()
        with plotting.style():
            figure.savefig(file, dpi=50, metadata={"Software": None})
        return file.getvalue()

    plain = pixels()
    with mpl.rc_context({"font.size": 30, "figure.facecolor": "black", "text.color": "red", "axes.spines.top": True}):
        assert pixels() == plain


def test_style_restores_the_settings_after_an_error():
    before = dict(mpl.rcParams)
    with plotting.style():
        assert mpl.rcParams["axes.spines.top"] is False
    with pytest.raises(ZeroDivisionError), plotting.style():
        1 / 0  # noqa: B018
    assert dict(mpl.rcParams) == before


def test_a_saved_figure_has_150_dots_per_inch_and_the_same_bytes_for_the_same_data(tmp_path):
    for name in ("a.png", "b.png"):
        figure = plotting.plot_horizons(fake.held_out()).figure
        plotting.save_figure(figure, tmp_path / "new" / name)
    first, second = ((tmp_path / "new" / name).read_bytes() for name in ("a.png", "b.png"))
    assert first == second
    size = [int.from_bytes(first[start : start + 4], "big") for start in (16, 20)]
    assert size == [int(150 * inches) for inches in figure.get_size_inches()]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.png", "b.png"]


def test_of_a_part_of_a_figure_the_whole_is_saved(tmp_path, seed):
    for name in ("best", "horizons"):
        traces = fake.traces(np.random.default_rng(seed))
        axes = plotting.plot_overview(**traces, held_out=fake.held_out(), dt=0.5, split=40)
        plotting.save_figure(axes[name].figure, tmp_path / f"{name}.png")
    assert (tmp_path / "best.png").read_bytes() == (tmp_path / "horizons.png").read_bytes()


def test_a_figure_that_cannot_be_drawn_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    figure = Figure()
    figure.text(0.5, 0.5, "$\\nosuchcommand$")
    with pytest.raises(ValueError, match="nosuchcommand"):
        plotting.save_figure(figure, path)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a.png", b"old")]


def test_a_figure_is_saved_as_png_only(tmp_path):
    with pytest.raises(ValueError, match=r"figure.pdf.*ending `.png`"):
        plotting.save_figure(Figure(), tmp_path / "figure.pdf")


def test_roles_have_colours_of_their_own_and_baselines_differ():
    assert len({RECORDED, MODEL, WITHOUT_CONNECTIONS, *(look.color for look in BASELINES.values())}) >= 6
    assert len({(look.color, look.marker, look.line) for look in BASELINES.values()}) == len(BASELINES)
    assert len(set(OTHERS)) == len(OTHERS)


@pytest.mark.parametrize(
    ("value", "text"), [(-1.036, "\N{MINUS SIGN}1.04"), (0.5, "0.50"), (np.nan, "undefined"), (-np.inf, "undefined")]
)
def test_a_number_is_written_as_people_do(value, text):
    assert number(value) == text


def test_importing_the_room_does_not_import_matplotlib():
    program = "import sys, neurotorch.plotting; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
