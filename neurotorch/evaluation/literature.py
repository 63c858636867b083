r"""The protocol of the literature, by name: for comparison with published numbers, never a measure of prediction.

Constant rows are dropped, the recording is smoothed with a symmetric Gaussian (it looks ahead), all neurons are scaled
by one minimum and one maximum to 0..1, a network runs freely from the first frame over the data it was fitted to, and
the score is the global p-variance. It shows the capacity of a model. What scores as well without any dynamics stands in
`LiteratureCompanions`, and the same fit to `time_shuffled` data, whose dynamics are gone, belongs beside it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurotorch.core.checks import check_count, check_finite
from neurotorch.data.recording import Recording
from neurotorch.evaluation.metrics import p_variance

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LiteratureActivity:
    """A recording as the literature's protocol prepares it.

    Attributes
    ----------
    activity
        ``(time, neuron)``, in 0..1.
    minimum, maximum
        What became 0 and 1, in the unit of the recording.
    neurons, dropped
        Names of the neurons kept, and of those dropped because they are constant or hold NaN.
    sigma
        Standard deviation of the Gaussian, in frames.
    """

    activity: Array
    minimum: float
    maximum: float
    neurons: tuple[str, ...]
    dropped: tuple[str, ...]
    sigma: float

    def invert(self, scaled: ArrayLike) -> Array:
        """Return activity of this scale in the unit of the recording."""
        activity: Array = np.asarray(scaled, dtype=np.float64) * (self.maximum - self.minimum) + self.minimum
        return activity


@dataclass(frozen=True)
class LiteratureCompanions:
    """Global p-variance of what has no dynamics, on the same activity.

    Attributes
    ----------
    own_mean
        Each neuron's own time mean, at every frame.
    static_rank
        The best reconstruction by `rank` patterns around the means, frame by frame (singular value decomposition).
    rank
        How many.
    repeated_last_frame
        Frame ``t - 1`` as the prediction of frame ``t``, over frames ``1 .. T-1``.
    """

    own_mean: float
    static_rank: float
    rank: int
    repeated_last_frame: float

    def to_json(self) -> dict[str, Any]:
        """Return the companions as a JSON object."""
        return asdict(self)


def prepare_literature(recording: Recording, *, sigma: float = 10.0) -> LiteratureActivity:
    """Drop dead neurons, smooth over all of time, scale all neurons together to 0..1.

    The Gaussian is symmetric, cut at four standard deviations, and reflected at both ends
    (`scipy.ndimage.gaussian_filter1d`). Everything uses the whole recording: no part of it is held out afterwards.

    Parameters
    ----------
    recording
        One unbroken recording.
    sigma
        Standard deviation of the Gaussian, in frames; 0 leaves the activity as it is.

    Raises
    ------
    ValueError
        If `sigma` is negative or not finite, the recording has gaps or several trials, or all neurons are dead.
    """
    if not (np.isfinite(sigma) and sigma >= 0):
        raise ValueError(f"`sigma` is {sigma:g} frames, but it must be a finite number of at least 0.")
    if recording.segments() != ((0, recording.frames),):
        raise ValueError(
            f"the literature's protocol runs freely from the first frame to the last, but this recording has "
            f"{len(recording.segments())} unbroken segments: choose one with `recording.window(start, stop)`."
        )
    alive = recording.drop_dead()
    activity = alive.activity.copy()
    if sigma > 0:
        from scipy.ndimage import gaussian_filter1d

        activity = gaussian_filter1d(activity, sigma, axis=0)
    minimum, maximum = float(activity.min()), float(activity.max())
    dropped = tuple(name for name in recording.neurons if name not in set(alive.neurons))
    scaled = (activity - minimum) / (maximum - minimum)
    return LiteratureActivity(scaled, minimum, maximum, alive.neurons, dropped, float(sigma))


def literature_companions(activity: ArrayLike, *, rank: int = 5) -> LiteratureCompanions:
    """Return what scores without dynamics on this activity, ``(time, neuron)``; any scale, p-variance has none.

    Raises
    ------
    ValueError
        If the activity is not ``(time, neuron)`` with at least two frames, is not finite, or is one constant.
    """
    y = np.asarray(activity, dtype=np.float64)
    if y.ndim != 2 or len(y) < 2:
        raise ValueError(f"`activity` has the shape {y.shape}, but it is (time, neuron) with at least two frames.")
    check_finite("activity", y)
    count = check_count("rank", rank)
    mean = np.broadcast_to(y.mean(axis=0), y.shape)
    left, values, right = np.linalg.svd(y - mean, full_matrices=False)
    return LiteratureCompanions(
        own_mean=p_variance(y, mean),
        static_rank=p_variance(y, mean + (left[:, :count] * values[:count]) @ right[:count]),
        rank=count,
        repeated_last_frame=p_variance(y[1:], y[:-1]),
    )


def time_shuffled(activity: ArrayLike, generator: np.random.Generator) -> Array:
    """Return the frames of `activity` ``(time, neuron)`` in random order, the same for all neurons.

    Means, variances and every relation between neurons within a frame stay, so the own mean and the static
    reconstruction score the same; all dynamics are gone. A measure that is as high here did not see dynamics.
    """
    shuffled: Array = generator.permutation(np.asarray(activity, dtype=np.float64), axis=0)
    return shuffled
