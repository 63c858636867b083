"""Neurons of other libraries, which are imported at first use."""

from neurotorch.interop.norse import NorseNeuron, from_norse

__all__ = ["NorseNeuron", "from_norse"]
