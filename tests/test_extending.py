"""The examples of `docs/extending.md` are run as they stand there."""

import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from neurotorch.analysis import count_connections
from neurotorch.connections import Connection, Dale
from neurotorch.core.config import build, describe
from neurotorch.core.vocabulary import spike
from neurotorch.data import Batch, Recording, read
from neurotorch.data.readers.read import READERS
from neurotorch.engine import Link, adjoint, reference
from neurotorch.engine.choice import choose
from neurotorch.evaluation import fit_baselines
from neurotorch.learning import BPTT, MeanSquaredError, compare_gradients
from neurotorch.network import Layer, Network
from neurotorch.neurons import LIF, FiringRate

REPOSITORY = Path(__file__).parents[1]
BLOCKS = re.findall(r"^```python\n(.*?)^```", (REPOSITORY / "docs" / "extending.md").read_text("utf-8"), re.M | re.S)
FILES = {found[1]: block.removeprefix(found[0]) for block in BLOCKS if (found := re.match(r"# (\S+\.py)\n", block))}
MODEL, EXPORT, TEST = (
    "neurotorch/neurons/adaptive_rate.py",
    "neurotorch/neurons/__init__.py",
    "tests/neurons/test_adaptive_rate.py",
)
FRAMES = (("whole", 12), ("half", 6))
CONTRACTS = {"test_form", "test_steps", "test_constants", "test_engine", "test_eprop", "test_training"}


@pytest.fixture(scope="module")
def examples():
    """What the blocks that are no files of the neuron example define, each run by itself."""
    found = {}
    for block in BLOCKS:
        if not block.startswith("# "):
            # dataclasses look their module up, so that it must be a real one
            names = {"__name__": __name__}
            exec(compile(block, "docs/extending.md", "exec"), names)
            found |= names
    return SimpleNamespace(**found)


def test_a_neuron_model_of_one_file_and_its_export_passes_every_contract(tmp_path):
    for name in ("neurotorch", "tests/contracts", "tests/conftest.py", "pyproject.toml"):
        source, target = REPOSITORY / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    assert set(FILES) == {MODEL, EXPORT, TEST}
    assert not (tmp_path / MODEL).exists()
    exports = (tmp_path / EXPORT).read_text("utf-8")
    (line,) = FILES[EXPORT].strip().splitlines()
    exported = exports.replace("__all__ = [\n", f'{line}\n\n__all__ = [\n    "AdaptiveRate",\n')
    assert len(exported.splitlines()) == len(exports.splitlines()) + 3
    (tmp_path / TEST).parent.mkdir()
    for name, text in ((MODEL, FILES[MODEL]), (EXPORT, exported), (TEST, FILES[TEST])):
        (tmp_path / name).write_text(text, "utf-8")

    environment = {name: value for name, value in os.environ.items() if name != "NEUROTORCH_DATA"}
    environment |= {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=report.xml"]
    command += ["-k", "AdaptiveRate or adaptive_rate", "tests/contracts", TEST]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ran = list(ElementTree.parse(tmp_path / "report.xml").iter("testcase"))
    passed = [case for case in ran if not len(case)]
    assert {case.get("classname").rpartition(".")[2] for case in passed} == CONTRACTS | {"test_adaptive_rate"}
    # only the test for a GPU may be left out
    assert [case.get("name") for case in ran if len(case) and "gpu" not in case.get("name")] == []


def test_the_example_of_a_neuron_model_keeps_the_house_rules(tmp_path):
    for name in (MODEL, TEST):
        (tmp_path / Path(name).name).write_text(FILES[name], "utf-8")
    for arguments in (["check"], ["format", "--check", "--diff"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--config", str(REPOSITORY / "pyproject.toml")]
        command += ["--no-cache", str(tmp_path / Path(MODEL).name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_surrogate_is_its_formula_runs_compiled_and_is_saved_with_a_network(examples, generator):
    x = torch.linspace(-3, 3, 61, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(spike(x, examples.MultiGaussian()).sum(), x)

    def bell(center, width):
        return np.exp(-((x.detach().numpy() - center) ** 2) / (2 * width**2))

    expected = 1.15 * bell(0, 0.5) - 0.15 * (bell(0.5, 3) + bell(-0.5, 3))
    np.testing.assert_allclose(found.numpy(), 0.3 * expected, rtol=1e-12, atol=1e-15)

    layer = Layer(LIF(surrogate=examples.MultiGaussian(height=0.2)), 4, recurrent=Connection(4, 4, generator=generator))
    network = Network({"cortex": layer}, dt=0.001).double()
    currents = 0.3 * torch.rand(50, 2, 4, generator=generator, dtype=torch.float64)
    state = network.initial_state(2)[0]
    population = layer.population(currents, state, dt=0.001)
    assert choose([population], []) is not None, "it is written in the vocabulary"
    gradients = []
    for scan in (adjoint.scan, reference.scan):
        (run,) = scan([population], [Link(0, 0, layer.recurrent.weight())])
        gradients.append(torch.autograd.grad(run.emitted.sum(), layer.recurrent.raw)[0])
    assert float(gradients[1].norm()) > 0
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)  # another order of sums

    again = build(describe(network), extra=[examples.MultiGaussian], tensors=network.state_dict()).double()
    again.load_state_dict(network.state_dict())
    assert again.layers["cortex"].neuron.surrogate == examples.MultiGaussian(height=0.2)


def test_the_learning_rule_trains_with_a_penalty_and_is_audited(examples):
    generator = torch.Generator().manual_seed(0)
    layer = Layer(FiringRate(0.1), 4, recurrent=Connection(4, 4, generator=generator))
    network = Network({"cortex": layer}, dt=0.05).double()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    batch = Batch(torch.rand(12, 3, 4, generator=generator, dtype=torch.float64), None)
    with torch.no_grad():
        batch.target.add_(0.5)
        layer.recurrent.raw.add_(0.3)
    penalty = examples.QuietWeights("cortex.recurrent", 0.5)
    exact = BPTT(network, MeanSquaredError(skip=6), optimizer=optimizer, penalties=[penalty])
    weight = layer.recurrent.weight().detach()
    report = exact.compute(batch)
    assert report.terms["quiet"] == pytest.approx(0.5 * float(weight.square().mean()))
    exact = BPTT(network, MeanSquaredError(), optimizer=optimizer)
    loss = MeanSquaredError()
    rules = {name: examples.LastFrames(network, loss, optimizer=optimizer, frames=frames) for name, frames in FRAMES}
    exact = BPTT(network, loss, optimizer=optimizer)
    found = compare_gradients(network, batch, {"BPTT": exact, **rules}, repeats=0, memory=False).to_frame()
    cosines = found[found.parameter == "all"].set_index("rule").cosine
    assert cosines["whole"] == pytest.approx(1, abs=1e-12)
    assert cosines["half"] < 1


def test_the_reader_reads_through_read(examples, tmp_path, monkeypatch):
    monkeypatch.setitem(READERS, ".txt", examples.read_txt)
    (tmp_path / "a.txt").write_text("1 2 3\n4 5 6\n")
    recording = read(tmp_path / "a.txt", dt=0.5, axes="time,neuron")
    np.testing.assert_array_equal(recording.activity, [[1, 2, 3], [4, 5, 6]])
    assert recording.provenance["reader"] == "read_txt"
    (tmp_path / "b.txt").write_text("1 2 3\n4 five 6\n")
    with pytest.raises(ValueError, match=r"b\.txt cannot be read as a table of numbers"):
        read(tmp_path / "b.txt", dt=0.5, axes="time,neuron")


def test_the_encoding_takes_samples_and_batches(examples):
    burst = examples.Burst(4, most=3)
    values = torch.tensor([[[0.0, 0.3]], [[0.7, 1.0]]])
    assert burst.batch(values).sum(0).tolist() == [[0, 1], [2, 3]]
    assert burst(values[1]).tolist() == [[1, 1], [1, 1], [0, 1], [0, 0]]
    with pytest.raises(ValueError, match=r"Burst takes values in 0\.\.1"):
        burst(values * 2)


def test_the_callback_measures_stops_and_remembers(examples):
    layer = Layer(FiringRate(), 3, recurrent=Connection(3, 3))
    layer.recurrent.set_weight(torch.diag(torch.tensor([4.0, -5.0, 1.0])))
    stopped = []
    trainer = SimpleNamespace(network=Network({"cortex": layer}, dt=0.02), stop=stopped.append)
    callback = examples.SpectralRadius("cortex.recurrent", largest=6.0)
    callback.on_epoch_end(trainer)
    assert callback.radii == [pytest.approx(5, rel=1e-6)]
    assert stopped == []
    other = examples.SpectralRadius("cortex.recurrent", largest=4.0)
    other.load_state_dict(callback.state_dict())
    other.on_epoch_end(trainer)
    assert other.radii == callback.radii * 2
    assert stopped == ["spectral radius"]


def test_the_ablation_is_exact_nested_and_takes_hubs_first(examples, generator):
    weights = {
        "a.recurrent": torch.randn(6, 6, generator=generator),
        "b.inputs": torch.randn(4, 6, generator=generator),
    }
    weights["a.recurrent"].fill_diagonal_(0)
    gone = [examples.hubs(weights, fraction) for fraction in (0, 0.1, 0.5, 1)]
    assert [count_connections({"a": lesioned["a.recurrent"]}) for lesioned in gone] == [30, 27, 15, 0]
    for less, more in pairwise(gone):
        assert all(bool(((less[address] != 0) | (more[address] == 0)).all()) for address in weights)
    hub = int(weights["b.inputs"].abs().sum(0).argmax())
    lesioned = examples.hubs(weights, 4 / 24)["b.inputs"]
    assert (lesioned == 0).nonzero()[:, 1].tolist() == [hub] * 4


def test_the_baseline_forecasts_the_recent_mean_of_its_own_segment(examples):
    activity = np.arange(20.0).reshape(10, 2)
    recording = Recording(activity, 0.5, trials=[(0, 4), (4, 10)])
    forecaster = fit_baselines(recording, [examples.RecentMean(3)])["recent mean"]
    found = forecaster.forecast(recording, np.array([3, 4, 8]), 2)
    expected = [activity[1:4].mean(0), activity[4], activity[6:9].mean(0)]
    np.testing.assert_array_equal(found, np.repeat(np.stack(expected)[:, None], 2, axis=1))


def test_the_magnitude_map_has_its_inverse_and_serves_dales_law(examples):
    magnitude = examples.Squareplus()
    wanted = torch.linspace(-30, 30, 10_001, dtype=torch.float64).exp()
    back = magnitude.forward(magnitude.inverse(wanted))
    assert float(((back - wanted).abs().numpy() / np.spacing(wanted.numpy())).max()) <= 4
    raw = torch.tensor([-1e3, -2.0, 0.0, 0.5, 1e3], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(magnitude.forward, raw)
    weight = torch.tensor([[0.5, -2.0], [1e-3, -0.1]])
    connection = Connection(2, 2, dale=Dale([1, -1], magnitude=magnitude))
    connection.set_weight(weight)
    torch.testing.assert_close(connection.weight().detach(), weight, rtol=1e-6, atol=0)
    with pytest.raises(ValueError, match="not above 0 everywhere"):
        magnitude.inverse(torch.zeros(2))
