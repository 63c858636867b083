"""What a fitted network is made of: lesions of its connections and what they cost, excitation and inhibition."""

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
from neurotorch.analysis.balance import Balance, measure_balance
from neurotorch.analysis.study import AblationStudy

__all__ = [
    "STRATEGIES",
    "Ablation",
    "AblationStudy",
    "Balance",
    "ablation_named",
    "count_connections",
    "measure_balance",
    "random",
    "remove",
    "strongest",
    "weakest",
]
