"""What a fitted network is made of: lesions of its connections and what they cost."""

from neurotorch.analysis.ablation import (
    STRATEGIES,
    Ablation,
    ablation_named,
    count_connections,
    random,
    remove,
    strongest,
    weakest,
)
from neurotorch.analysis.study import AblationStudy

__all__ = [
    "STRATEGIES",
    "Ablation",
    "AblationStudy",
    "ablation_named",
    "count_connections",
    "random",
    "remove",
    "strongest",
    "weakest",
]
