import numpy as np
import pytest
import torch

from neurotorch.core.seeds import numpy_generator, torch_generator


def draw(seed, stream):
    return torch.rand(8, generator=torch_generator(seed, stream)), numpy_generator(seed, stream).random(8)


def test_the_same_seed_and_stream_give_the_same_numbers():
    for first, second in zip(draw(3, "weights"), draw(3, "weights"), strict=True):
        assert np.array_equal(first, second)


@pytest.mark.parametrize("other", [(3, "windows"), (4, "weights"), (34, "weights"), (0, "weights")])
def test_another_seed_or_stream_gives_other_numbers(other):
    for first, second in zip(draw(3, "weights"), draw(*other), strict=True):
        assert not np.isclose(first, second).any()


def test_streams_are_uncorrelated():
    # Of 2,000 draws a correlation has a standard deviation of 0.022: 0.11 is five of them.
    streams = np.array([numpy_generator(0, f"stream {i}").random(2000) for i in range(20)])
    tensors = np.array([torch.rand(2000, generator=torch_generator(0, f"stream {i}")).numpy() for i in range(20)])
    for values in (streams, tensors):
        assert np.abs(np.corrcoef(values) - np.eye(20)).max() < 0.11


def test_the_numbers_stay_the_same_from_version_to_version():
    assert torch.randint(1000, (4,), generator=torch_generator(0, "weights")).tolist() == [283, 490, 118, 905]
    assert numpy_generator(0, "weights").bit_generator.random_raw() == 13304178163234131415


def test_drawing_changes_no_global_state():
    before = torch.get_rng_state()
    draw(1, "weights")
    assert torch.equal(before, torch.get_rng_state())


def test_the_generator_lives_on_the_device():
    assert torch_generator(0, "weights", device="cpu").device == torch.device("cpu")


@pytest.mark.parametrize(
    ("seed", "stream", "error", "says"),
    [
        (-1, "weights", ValueError, "`seed` is -1"),
        (0.5, "weights", TypeError, "`seed` is 0.5"),
        (0, "", TypeError, "`stream` is ''"),
        (0, 7, TypeError, "`stream` is 7"),
    ],
)
def test_bad_input_is_named(seed, stream, error, says):
    for make in (torch_generator, numpy_generator):
        with pytest.raises(error, match=says):
            make(seed, stream)
