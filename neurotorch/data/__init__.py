"""Recordings: what was measured, how it is read from files, and windows of it as batches."""

from neurotorch.data.dead import DeadNeurons
from neurotorch.data.readers import read
from neurotorch.data.recording import Recording
from neurotorch.data.windows import Batch, WindowLoader, Windows

__all__ = ["Batch", "DeadNeurons", "Recording", "WindowLoader", "Windows", "read"]
