"""One recording of many neurons: what was measured, when, of whom, and everything that was done to it since."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np

from neurotorch.core.checks import check_count, check_fraction, check_positive
from neurotorch.data import preprocessing, recording_checks
from neurotorch.data.dead import DeadNeurons, listed
from neurotorch.data.selection import Selection, selected

Kind = Literal["dff", "rate", "spikes"]
Frames = tuple[int, int]


@dataclass(frozen=True, eq=False, repr=False)
class Recording:
    """The activity of many neurons over time. It never changes; every method returns a new recording.

    A neuron may hold NaN: it is reported by `dead` and goes only by choice, with `drop_dead` or `mark_missing`.

    Parameters
    ----------
    activity : ndarray, (time, neuron)
        Kept as float64, read-only. Rows of missing frames become NaN.
    dt : float
        Duration of a frame, in seconds.
    neurons : tuple of str, (neuron,)
        Distinct names; empty means "0", "1", ...
    trials : tuple of (start, stop)
        Half-open frame ranges in order of time that share no frame; empty means one trial over all frames. Frames
        outside every trial are kept, and used by nothing.
    inputs : ndarray, (time, channel), optional
        What was shown or injected, finite in every frame that is not missing.
    kind : "dff", "rate" or "spikes"
        What the numbers are: relative fluorescence, firing rates, or spikes per frame.
    missing : ndarray of bool, (time,)
        Frames that were not recorded; empty means those that hold nothing but NaN, which always count as missing.
    provenance : mapping
        Where the recording came from; ``provenance["steps"]`` lists what was done to it, in order. Values that JSON
        can hold.

    Raises
    ------
    ValueError, TypeError
        If a shape, a length or a name does not fit, there are fewer than 2 frames, a value is infinite, or `dt` cannot
        be in seconds.
    """

    activity: np.ndarray
    dt: float
    neurons: tuple[str, ...] = ()
    trials: tuple[Frames, ...] = ()
    inputs: np.ndarray | None = None
    kind: Kind = "dff"
    missing: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        activity = recording_checks.checked_activity(self.activity)
        missing = recording_checks.checked_missing(self.missing, activity)
        activity[missing] = np.nan
        neurons = recording_checks.checked_names(self.neurons, activity.shape[1])
        recording_checks.check_no_infinity(activity, neurons)
        recording_checks.check_kind(self.kind, get_args(Kind))
        checked: dict[str, Any] = {
            "activity": activity,
            "dt": recording_checks.checked_dt(self.dt),
            "neurons": neurons,
            "trials": recording_checks.checked_trials(self.trials, len(activity)),
            "inputs": recording_checks.checked_inputs(self.inputs, missing),
            "missing": missing,
            "provenance": MappingProxyType(dict(self.provenance)),
        }
        for name, value in checked.items():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)
        recording_checks.check_some_valid(self.segments(), self.frames)

    def __repr__(self) -> str:
        return (
            f"Recording({self.frames} frames of {len(self.neurons)} neurons, dt={self.dt:g} s, kind={self.kind!r}, "
            f"trials={len(self.trials)}, missing={int(self.missing.sum())})"
        )

    def __reduce__(self) -> tuple[type[Recording], tuple[Any, ...]]:
        # Copies and pickles go through the constructor: arrays are read-only again, and a mapping proxy cannot travel.
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return Recording, tuple({**values, "provenance": dict(self.provenance)}.values())

    @property
    def frames(self) -> int:
        """The number of frames, missing ones included."""
        return len(self.activity)

    @property
    def valid(self) -> np.ndarray:
        """Which frames lie inside a trial and are not missing: bool, (time,)."""
        inside = np.zeros(self.frames, dtype=bool)
        for start, stop in self.segments():
            inside[start:stop] = True
        return inside

    def segments(self) -> tuple[Frames, ...]:
        """Return the half-open frame ranges that cross no trial border and no missing frame, in order of time."""
        return preprocessing.runs(self.trials, self.missing)

    def split(self, held_out: float = 0.2) -> tuple[Recording, Recording]:
        """Split in time: the last `held_out` fraction of all frames becomes the second part.

        Parameters
        ----------
        held_out : float
            Fraction in 0..1, rounded to whole frames. A trial that spans the cut goes on in both parts.

        Raises
        ------
        ValueError
            If a part would have fewer than 2 frames or lie outside every trial, or if the recording was smoothed with
            a symmetric kernel before: it carried the held-out future into the training part.
        """
        held = round(self.frames * check_fraction("held_out", held_out))
        cut = self.frames - held
        if cut < 2 or held < 2:
            raise ValueError(
                f"`held_out` of {held_out:g} splits {self.frames} frames into {cut} and {held}, but each part needs at "
                "least 2."
            )
        if any(step["step"] == "smooth" and not step["causal"] for step in self.provenance.get("steps", ())):
            raise ValueError(
                "The recording was smoothed with a symmetric kernel, which carries the future across the split: split "
                "first and smooth each part, or use `smooth(..., causal=True)`."
            )
        step = {"step": "split", "held_out": float(held_out)}
        return self._cut(0, cut, {**step, "part": "train"}), self._cut(cut, self.frames, {**step, "part": "test"})

    def window(self, start: int, stop: int) -> Recording:
        """Return frames `start` to `stop` (not included), with the trials clipped to them."""
        check_count("start", start, least=0)
        check_count("stop", stop, least=0)
        if not start < stop <= self.frames:
            raise ValueError(
                f"Frames {start} to {stop} are no part of a recording of {self.frames} frames: it must hold that "
                "0 <= start < stop <= frames."
            )
        return self._cut(int(start), int(stop), {"step": "window"})

    def select(self, neurons: Selection) -> Recording:
        """Return some of the neurons, in the order given: by index, by name, or by a mask with one bool per neuron."""
        indices = selected(self.neurons, neurons)
        names = tuple(self.neurons[index] for index in indices)
        step = {"step": "select", "neurons": names}
        return self._derived(step, activity=self.activity[:, indices], neurons=names)

    def resample(self, dt: float) -> Recording:
        """Average whole numbers of frames into longer ones; inputs are averaged alike, and spikes become rates.

        Blocks start at the first frame of each trial. A block that holds a missing frame is missing; frames left over
        at the end of a trial, and those outside every trial, are dropped and counted in the provenance.

        Parameters
        ----------
        dt : float
            The new duration of a frame in seconds, a whole number of the old ones.

        Raises
        ------
        ValueError
            If `dt` is not a whole number of frames, or longer than every trial.
        """
        ratio = recording_checks.whole_ratio(dt, self.dt)
        whole = [(start, stop) for start, stop in self.trials if stop - start >= ratio]
        if not whole:
            longest = max(stop - start for start, stop in self.trials)
            raise ValueError(f"`dt` of {dt:g} s is {ratio} frames, but the longest trial has {longest}.")
        borders = np.cumsum([0] + [(stop - start) // ratio for start, stop in whole])
        used = int(borders[-1]) * ratio

        def averaged(array: np.ndarray) -> np.ndarray:
            return np.concatenate([preprocessing.block_means(array[start:stop], ratio) for start, stop in whole])

        return self._derived(
            {"step": "resample", "from_dt": self.dt, "dt": float(dt), "frames_dropped": self.frames - used},
            activity=averaged(self.activity),
            dt=float(dt),
            trials=tuple((int(a), int(b)) for a, b in pairwise(borders)),
            inputs=None if self.inputs is None else averaged(self.inputs),
            missing=averaged(self.missing[:, None].astype(float))[:, 0] > 0,
            kind="rate" if self.kind == "spikes" else self.kind,
        )

    def smooth(self, sigma_frames: float, *, causal: bool = True) -> Recording:
        """Smooth every segment on its own with a Gaussian (`preprocessing.gaussian_smooth`); spikes become rates.

        Parameters
        ----------
        sigma_frames : float
            Standard deviation, in frames.
        causal : bool
            Whether a frame is made of itself and earlier ones only (default). A symmetric kernel looks ahead: a
            recording smoothed with it can no longer be split.

        Raises
        ------
        ValueError
            If a neuron holds NaN.
        """
        sigma = check_positive("sigma_frames", sigma_frames, "frames")
        self._check_known("smoothed")
        activity = self.activity.copy()
        for start, stop in self.segments():
            activity[start:stop] = preprocessing.gaussian_smooth(activity[start:stop], sigma, causal=causal)
        step = {"step": "smooth", "sigma_frames": sigma, "causal": bool(causal)}
        return self._derived(step, activity=activity, kind="rate" if self.kind == "spikes" else self.kind)

    def standardize(self, *, fit_on: Recording | None = None) -> Recording:
        """Subtract each neuron's mean and divide by its standard deviation over the valid frames of `fit_on`.

        Split first: statistics of the whole recording carry its held-out part into the training part.

        Parameters
        ----------
        fit_on : Recording, optional
            Where the statistics come from, this recording by default. For a held-out part this is the training part.

        Raises
        ------
        ValueError
            If the neurons of the two differ, or one is constant in `fit_on` or holds NaN.
        """
        source = self if fit_on is None else fit_on
        if source.neurons != self.neurons:
            raise ValueError(
                f"`fit_on` holds {len(source.neurons)} neurons and the recording {len(self.neurons)}, and their names "
                "or order differ: bring both together with `recording.select(fit_on.neurons)`."
            )
        source._check_known("standardized")
        self._check_known("standardized")
        values = source.activity[source.valid]
        constant = source.dead().constant
        if constant:
            raise ValueError(
                f"{len(constant)} neurons never change and have no standard deviation: {listed(constant)}. "
                "Drop them with `drop_dead()` first, or with `select(...)` where they change after `fit_on`."
            )
        mean, std = values.mean(axis=0), values.std(axis=0)
        step = {
            "step": "standardize",
            "fit_on": "itself" if source is self else source._described(),
            "mean": tuple(mean.tolist()),
            "std": tuple(std.tolist()),
        }
        return self._derived(step, activity=preprocessing.zscore(self.activity, mean, std))

    def dead(self) -> DeadNeurons:
        """Report the neurons that are constant or hold NaN in the valid frames."""
        values = self.activity[self.valid]
        flags = (preprocessing.constant_neurons(values), np.isnan(values).any(axis=0))
        constant, nan = (tuple(self.neurons[index] for index in np.flatnonzero(flag)) for flag in flags)
        return DeadNeurons(constant=constant, nan=nan)

    def drop_dead(self, *, of: Recording | None = None) -> Recording:
        """Drop the neurons that `dead` reports; the provenance names them.

        Parameters
        ----------
        of : Recording, optional
            A part of this recording whose dead neurons to drop, such as the training part; the whole unless given.

        Raises
        ------
        ValueError
            If none would be left, or `of` has other neurons.
        """
        if of is not None and of.neurons != self.neurons:
            raise ValueError("`of` has other neurons than the recording: give a part of it, such as `split()[0]`.")
        dead = (self if of is None else of).dead()
        keep = np.array([name not in set(dead.neurons) for name in self.neurons])
        if not keep.any():
            raise ValueError(f"All {len(self.neurons)} neurons are dead ({dead}): there is nothing to keep.")
        step = {"step": "drop_dead", "constant": dead.constant, "nan": dead.nan}
        names = tuple(name for name, kept in zip(self.neurons, keep, strict=True) if kept)
        return self._derived(step, activity=self.activity[:, keep], neurons=names)

    def mark_missing(self) -> Recording:
        """Make every frame in which any neuron is NaN a missing one. Drop neurons that are NaN throughout first.

        Raises
        ------
        ValueError
            If no frame would be left.
        """
        missing = np.isnan(self.activity).any(axis=1)
        if missing.all():
            raise ValueError(
                f"Every frame holds a NaN ({self.dead()}): no frame would be left. Drop these neurons with "
                "`drop_dead()` or `select(...)` first."
            )
        added = int(missing.sum() - self.missing.sum())
        return self._derived({"step": "mark_missing", "frames": added}, missing=missing)

    def _derived(self, step: Mapping[str, Any], **changes: Any) -> Recording:
        steps = (*self.provenance.get("steps", ()), dict(step))
        return dataclasses.replace(self, provenance={**self.provenance, "steps": steps}, **changes)

    def _cut(self, start: int, stop: int, step: Mapping[str, Any]) -> Recording:
        trials = preprocessing.clipped(self.trials, start, stop)
        if not trials:
            raise ValueError(f"Frames {start} to {stop} lie outside every trial.")
        return self._derived(
            {**step, "start": start, "stop": stop, "of": self.frames},
            activity=self.activity[start:stop],
            trials=trials,
            inputs=None if self.inputs is None else self.inputs[start:stop],
            missing=self.missing[start:stop],
        )

    def _check_known(self, done: str) -> None:
        nan = self.dead().nan
        if nan:
            raise ValueError(
                f"{len(nan)} neurons hold NaN outside missing frames and cannot be {done}: {listed(nan)}. Drop the "
                "neurons with `drop_dead()` or the frames with `mark_missing()` first."
            )

    def _described(self) -> dict[str, Any]:
        cuts = [dict(step) for step in self.provenance.get("steps", ()) if step["step"] in ("split", "window")]
        return {"path": self.provenance.get("path"), "frames": self.frames, "cuts": cuts}
