"""Recordings, images and spike trains: how they are read from files, split and handed out as batches."""

from neurotorch.data import augmentations, catalog, encodings
from neurotorch.data.dead import DeadNeurons
from neurotorch.data.idx import read_idx
from neurotorch.data.images import Images, read_images
from neurotorch.data.readers import read
from neurotorch.data.recording import Recording
from neurotorch.data.sequences import Sequences, read_braille
from neurotorch.data.spike_train import SpikeTrain
from neurotorch.data.spike_trains import SpikeTrains, read_spike_trains
from neurotorch.data.splits import folds, leave_one_group_out, refuse_test, split
from neurotorch.data.transformed import Transformed, time_first
from neurotorch.data.windows import Batch, WindowLoader, Windows

__all__ = [
    "Batch",
    "DeadNeurons",
    "Images",
    "Recording",
    "Sequences",
    "SpikeTrain",
    "SpikeTrains",
    "Transformed",
    "WindowLoader",
    "Windows",
    "augmentations",
    "catalog",
    "encodings",
    "folds",
    "leave_one_group_out",
    "read",
    "read_braille",
    "read_idx",
    "read_images",
    "read_spike_trains",
    "refuse_test",
    "split",
    "time_first",
]
