"""The trainer and its callbacks."""

from neurotorch.training.callback import Callback
from neurotorch.training.checkpoint import Checkpoint
from neurotorch.training.curriculum import Curriculum
from neurotorch.training.deep_r import DeepR
from neurotorch.training.early_stopping import EarlyStopping
from neurotorch.training.environment import ResumeWarning
from neurotorch.training.gradient_audit import GradientAudit
from neurotorch.training.history import History
from neurotorch.training.history_file import HistoryFile
from neurotorch.training.learning_rate_schedule import LearningRateSchedule
from neurotorch.training.non_finite import NonFiniteError
from neurotorch.training.progress import Progress
from neurotorch.training.resumable import ResumableLoader
from neurotorch.training.trainer import Trainer
from neurotorch.training.type_hardening import TypeHardening

__all__ = [
    "Callback",
    "Checkpoint",
    "Curriculum",
    "DeepR",
    "EarlyStopping",
    "GradientAudit",
    "History",
    "HistoryFile",
    "LearningRateSchedule",
    "NonFiniteError",
    "Progress",
    "ResumableLoader",
    "ResumeWarning",
    "Trainer",
    "TypeHardening",
]
