"""Classifiers from data to run folder."""

import dataclasses

import numpy as np
import pytest
import torch

import neurotorch as nt
from neurotorch.core.config import build, describe
from neurotorch.data.encodings import Latency, Poisson
from neurotorch.learning import EProp, MaximumOverTime
from neurotorch.neurons import LIF, AdaptiveLIF, CurrentLIF, FiringRate, Izhikevich
from neurotorch.runs.classification import (
    ClassificationTask,
    ClassifierBlueprint,
    ClassifierPlan,
    ImagePresentation,
    SpikePresentation,
    classify,
)
from neurotorch.training import Callback
from tests.data.files import write_idx, write_spikes
from tests.runs.classification_worlds import BLUEPRINT, CLASSES, PLAN, CountingTest, images, task


@pytest.fixture(scope="module")
def result():
    return classify(task(), BLUEPRINT, plan=PLAN, seed=3)


def test_patterns_are_told_apart_and_the_report_has_what_it_promises(result):
    report = result.report()
    assert report["test"]["accuracy"] > 0.9  # a third by chance; the linear classifier has them all
    assert report["baselines"]["linear"] > 0.9
    assert report["validation"]["samples"] + len(result.task.train) * 0.8 == pytest.approx(200, abs=2)
    assert report["training"]["seconds"] > 0
    assert report["training"]["epochs"] == 3
    assert report["dale"]["violations"] == 0
    assert report["spikes_per_inference"] == pytest.approx(
        report["test"]["firing_rates_hz"]["hidden"] * 12 * 10 * 0.004, rel=1e-9
    )
    assert np.sum(report["test"]["confusion"]) == 60
    assert list(report["test"]["per_class"]) == list(CLASSES)
    assert "points" in report["verdict"]


def test_the_test_part_is_opened_once_and_after_training():
    opened, when_over = CountingTest(), []

    class Watch(Callback):
        def on_fit_end(self, trainer):
            del trainer
            when_over.append(opened.opened)

    classify(task(opened), BLUEPRINT, plan=dataclasses.replace(PLAN, epochs=1), callbacks=[Watch()])
    assert when_over == [0]
    assert opened.opened == 1


def test_a_test_part_of_other_classes_is_refused():
    renamed = dataclasses.replace(images(20, seed=2, part="test"), classes=("dot", "bar", "edge"))
    other = dataclasses.replace(task(), open_test=lambda: renamed)
    with pytest.raises(ValueError, match=r"test part are \['dot', 'bar', 'edge'\], but those of the training part"):
        classify(other, BLUEPRINT, plan=dataclasses.replace(PLAN, epochs=1))


def test_a_test_part_that_is_missing_is_an_error_before_training(tmp_path):
    data = images(20, seed=0)
    write_idx(tmp_path / "train-images-idx3-ubyte", data.pixels.numpy())
    write_idx(tmp_path / "train-labels-idx1-ubyte", data.labels.numpy().astype("u1"))
    with pytest.raises(FileNotFoundError, match="There is no t10k-images-idx3-ubyte"):
        nt.open_task("mnist", folder=tmp_path)


@pytest.fixture
def _doubles():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("_doubles")
def test_a_network_of_doubles_is_trained_and_comes_back(tmp_path):
    made = classify(task(), BLUEPRINT, plan=dataclasses.replace(PLAN, epochs=1))
    assert made.network.effective_weights()["hidden.inputs"].dtype == torch.float64
    path = write_spikes(tmp_path / "x.h5", [[0.1], [0.2]] * 4, [[0], [9]] * 4, [0, 1] * 4)
    spikes = nt.data.read_spike_trains(path)
    spoken = ClassificationTask("spikes", spikes, lambda: spikes, SpikePresentation(steps=30, pool=100))
    few = ClassifierPlan(epochs=1, validation=0.5)
    saved = nt.save(classify(spoken, ClassifierBlueprint(CurrentLIF, (5,)), plan=few), tmp_path / "run")
    torch.set_default_dtype(torch.float32)
    loaded = nt.load(saved)
    assert loaded.evaluate(path)["cross_entropy"] == loaded.report["test"]["cross_entropy"]


def test_a_test_part_is_not_trained_on():
    with pytest.raises(ValueError, match="test part"):
        ClassificationTask("patterns", images(20, seed=0, part="test"), CountingTest(), ImagePresentation())


def test_a_seed_repeats_a_run_and_another_does_not(result):
    again = classify(task(), BLUEPRINT, plan=PLAN, seed=3)
    other = classify(task(), BLUEPRINT, plan=PLAN, seed=4)
    weights, same, different = (r.network.effective_weights()["hidden.inputs"] for r in (result, again, other))
    assert torch.equal(weights, same)
    assert not torch.equal(weights, different)


class Stop(Callback):
    def __init__(self, batches):
        self.batches = batches

    def on_batch_end(self, trainer, report):
        del report
        self.batches -= 1
        if not self.batches:
            trainer.stop("test")


@pytest.mark.parametrize("encoding", [None, Poisson(6, 0.004)])
def test_a_resumed_run_is_that_which_was_not_interrupted(tmp_path, encoding):
    presentation = ImagePresentation() if encoding is None else ImagePresentation(encoding)
    whole = classify(task(presentation=presentation), BLUEPRINT, plan=PLAN, seed=3)
    # Seven batches: in the middle of the first epoch of ten.
    classify(task(presentation=presentation), BLUEPRINT, plan=PLAN, seed=3, checkpoints=tmp_path, callbacks=[Stop(7)])
    resumed = classify(task(presentation=presentation), BLUEPRINT, plan=PLAN, seed=3, checkpoints=tmp_path)
    for name, weight in whole.network.effective_weights().items():
        assert torch.equal(weight, resumed.network.effective_weights()[name])
    np.testing.assert_array_equal(whole.test.probabilities, resumed.test.probabilities)


def test_checkpoints_of_another_run_are_refused(tmp_path):
    short = dataclasses.replace(PLAN, epochs=1)
    classify(task(), BLUEPRINT, plan=short, checkpoints=tmp_path)
    with pytest.raises(ValueError, match="another fit, which differs in seed"):
        classify(task(), BLUEPRINT, plan=short, seed=1, checkpoints=tmp_path)


def test_a_run_folder_comes_back_and_evaluates_another_file(tmp_path, result):
    folder = nt.save(result, tmp_path / "run")
    loaded = nt.load(folder)
    assert loaded.report["test"]["accuracy"] == result.report()["test"]["accuracy"]
    data = images(60, seed=2)
    write_idx(tmp_path / "other-images-idx3-ubyte", data.pixels.numpy())
    write_idx(tmp_path / "other-labels-idx1-ubyte", data.labels.numpy().astype("u1"))
    found = loaded.evaluate(tmp_path / "other-images-idx3-ubyte")
    assert found == result.report()["test"]
    assert loaded.evaluate(tmp_path / "other-images-idx3-ubyte", labels=tmp_path / "other-labels-idx1-ubyte") == found
    write_idx(tmp_path / "no-images-idx3-ubyte", data.pixels.numpy()[:0])
    write_idx(tmp_path / "no-labels-idx1-ubyte", data.labels.numpy().astype("u1")[:0])
    with pytest.raises(ValueError, match="no samples to score"):
        loaded.evaluate(tmp_path / "no-images-idx3-ubyte")
    write_idx(tmp_path / "x", data.pixels.numpy())
    with pytest.raises(ValueError, match="does not tell where its labels are"):
        loaded.evaluate(tmp_path / "x")


@pytest.mark.parametrize(
    ("blueprint", "plan"),
    [
        (ClassifierBlueprint(CurrentLIF, (8, 6), recurrent=True, excitatory=0.75, spread=0.3), {}),
        (ClassifierBlueprint(AdaptiveLIF, (8,), recurrent=True, learned_constants=True), {"rule": EProp}),
        (ClassifierBlueprint(LIF, (8,), encoder=LIF), {"pooling": MaximumOverTime(), "keep": "best"}),
        (ClassifierBlueprint(FiringRate, (8,)), {"smoothing": 0.1, "one_cycle": False}),
        (ClassifierBlueprint(LIF, (8,)), {"firing_rate": 20.0, "clip": None}),
    ],
)
def test_every_kind_of_network_trains_and_comes_back(tmp_path, blueprint, plan):
    made = classify(task(), blueprint, plan=dataclasses.replace(PLAN, epochs=1, **plan))
    assert made.network.dale_violations() == 0
    assert np.isfinite(made.history.column("loss")).all()
    loaded = nt.load(nt.save(made, tmp_path / "run"))
    inputs = next(made.example.batches(generator=torch.Generator())).inputs
    assert torch.equal(loaded.network(inputs)[0], made.network(inputs)[0])


def test_a_layer_that_is_silent_before_training_is_warned_of():
    blueprint, plan = ClassifierBlueprint(Izhikevich, (5,)), dataclasses.replace(PLAN, epochs=1)
    with pytest.warns(UserWarning, match="Layer 'hidden' of Izhikevich neurons emits no spike on 160 samples"):
        assert classify(task(), blueprint, plan=plan).test.spikes == {"hidden": 0.0}


def test_under_dales_law_every_connection_has_types_and_a_neuron_one():
    network = ClassifierBlueprint(units=(10, 8), recurrent=True, excitatory=0.5).build(
        torch.rand(5, 20, 6), 3, dt=0.004, seed=0
    )
    connections = network.connections()
    assert all(connection.dale is not None for connection in connections.values())
    assert connections["hidden1.recurrent"].dale is connections["hidden2.inputs"].dale
    assert connections["hidden2.recurrent"].dale is connections["readout.inputs"].dale


def test_the_encoder_is_kept_and_not_trained():
    made = classify(task(), ClassifierBlueprint(encoder=LIF, units=(8,)), plan=dataclasses.replace(PLAN, epochs=1))
    assert list(made.network.layers) == ["encoder", "hidden", "readout"]
    assert "encoder" in made.test.rates
    assert not any(parameter.requires_grad for parameter in made.network.layers["encoder"].parameters())


@pytest.mark.parametrize("presentation", [ImagePresentation(Latency(7)), SpikePresentation(steps=9, pool=2)])
def test_presentations_come_back_from_their_description(presentation):
    again = build(describe(presentation))
    assert again == presentation
    assert again.duration() == presentation.duration() in (7, 9)


def test_spike_trains_are_counted_and_end_with_their_last_spike(tmp_path):
    path = write_spikes(tmp_path / "x.h5", [[0.0, 0.011, 0.012], [], [0.035]], [[0, 1, 3], [], [2]], [1, 0, 1])
    presentation = SpikePresentation(steps=4, dt=0.01, pool=2)
    data = nt.data.read_spike_trains(path, channels=4, classes=("a", "b"))
    samples = presentation.samples(data)
    batch = samples.batch(torch.tensor([0, 1, 2]), generator=torch.Generator())
    expected = np.zeros((4, 3, 2))
    expected[0, 0, 0] = expected[1, 0, 0] = expected[1, 0, 1] = expected[3, 2, 1] = 1
    np.testing.assert_array_equal(batch.inputs.numpy(), expected)
    np.testing.assert_array_equal(batch.target.sum(2).numpy().T, [[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]])
    stretched = dataclasses.replace(presentation, stretched=True).samples(data)
    assert stretched.lengths.tolist() == [4, 1, 4]  # a silent sample has no length
    rooted = SpikePresentation(root=True).present(9 * samples.values, generator=torch.Generator(), training=False)
    np.testing.assert_array_equal(rooted.numpy(), 3 * expected)
    expected = np.zeros((4, 2))
    expected[[0, 3, 3], [0, 0, 1]] = 0.04 / 0.012  # a spike in a quarter of 12 ms, as spikes in 10 ms
    # Times are in half precision, which is good to 1e-3.
    np.testing.assert_allclose(stretched.values[0].numpy(), expected, rtol=1e-3)
    # Twenty parts of 2, 1 and 4 steps: step t is in part 20 t // length, as a mean count in a step.
    features = np.zeros((3, 20, 2))
    features[0, 0, 0] = features[0, 10, 0] = features[0, 10, 1] = 10
    features[2, 15, 1] = 5
    np.testing.assert_array_equal(presentation.features(samples).reshape(3, 20, 2).numpy(), features)


def test_a_file_of_spikes_with_other_classes_is_refused(tmp_path):
    path = write_spikes(tmp_path / "x.h5", [[0.1], [0.2]], [[0], [1]], [0, 1], keys=["no", "yes"])
    with pytest.raises(ValueError, match=r"are \['no', 'yes'\], but those of the classifier \['yes', 'no'\]"):
        SpikePresentation().read(path, classes=("yes", "no"))
    assert SpikePresentation().read(path, classes=("no", "yes", "perhaps")).classes == ("no", "yes", "perhaps")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClassifierBlueprint(units=100), "must be a tuple"),
        (lambda: ClassifierBlueprint("lif"), "must be the class of a model"),
        (lambda: ClassifierBlueprint(spread=-1), "standard deviation is at least 0"),
        (lambda: ClassifierPlan(rule="bptt"), "class of a gradient rule"),
        (lambda: ClassifierPlan(keep="first"), "'last' or 'best'"),
        (lambda: ImagePresentation("direct"), "must be an object such as DirectCurrent"),
        (lambda: classify(task(), BLUEPRINT, plan=dataclasses.replace(PLAN, by_group=True)), "have none"),
        (lambda: nt.runs.classification.preset("mnists"), "Did you mean 'mnist'"),
    ],
)
def test_errors(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_a_shift_moves_channels_in_training_only():
    counts = torch.randint(1, 9, (6, 4, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    presentation = SpikePresentation(steps=4, shift=2)
    plain = presentation.present(counts, generator=torch.Generator().manual_seed(1), training=False)
    np.testing.assert_array_equal(plain.numpy(), counts.transpose(0, 1).numpy())
    moved = presentation.present(counts, generator=torch.Generator().manual_seed(1), training=True).transpose(0, 1)
    offsets = torch.randint(-2, 3, (6,), generator=torch.Generator().manual_seed(1)).tolist()
    assert len(set(offsets)) > 2
    for before, after, offset in zip(counts.numpy(), moved.numpy(), offsets, strict=True):
        expected = np.zeros((4, 5))
        for channel in range(5):
            if 0 <= channel + offset < 5:
                expected[:, channel + offset] = before[:, channel]
        np.testing.assert_array_equal(after, expected)
