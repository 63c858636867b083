"""The held-out score in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from neurotorch.evaluation.score import HeldOut, HorizonScore, Skill


def verdict(held_out: HeldOut) -> str:
    """Say what the score shows: against the best baseline at each horizon, and what the connections add.

    A skill counts as a gain or a loss when its interval excludes 0, and as a tie when it does not. A fit below its
    baselines is called that.
    """
    scores = {horizon: score for horizon, score in held_out.horizons.items() if isinstance(score, HorizonScore)}
    if not scores:
        reasons = "; ".join(score.reason for score in held_out.horizons.values() if not isinstance(score, HorizonScore))
        return f"Nothing could be scored on held-out time: {reasons}"
    sentences = [_against_baselines(scores), _connections(scores)]
    unscored = [horizon for horizon in held_out.horizons if horizon not in scores]
    if unscored:
        sentences.append(f"The held-out part is too short to score {_frames(unscored)} ahead.")
    return " ".join(sentences)


def _against_baselines(scores: Mapping[int, HorizonScore]) -> str:
    skills = {horizon: score.skill for horizon, score in scores.items() if score.skill is not None}
    if not skills:
        return "The fit was compared with no baseline, so nothing can be said about its worth."
    groups = _grouped(skills)
    phrases = {
        "gain": "beats the best baseline",
        "tie": "ties with the best baseline, within the interval of its skill,",
        "loss": "is below its baselines",
        "unknown": "has too few forecasts to be told from its baselines",
    }
    parts = [
        f"{phrase} at {_frames(groups[key])} ({', '.join(_shown(skills[h]) for h in groups[key])})"
        for key, phrase in phrases.items()
        if groups[key]
    ]
    text = f"On held-out time the fit {_listed(parts)}."
    worse = [horizon for horizon, score in scores.items() if score.r2 < 0]
    if worse:
        text += f" At {_frames(worse)} it is worse than knowing each neuron's held-out mean (R² below 0)."
    if not groups["gain"] and (groups["tie"] or groups["loss"]):
        text += " It shows no skill that forecasts without a network do not have."
    return text


def _connections(scores: Mapping[int, HorizonScore]) -> str:
    skills = {horizon: score.connections for horizon, score in scores.items() if score.connections is not None}
    if not skills:
        return "Whether the connections add anything was not measured: no refit without connections was given."
    groups = _grouped(skills)
    phrases = {
        "gain": "improve the forecast",
        "tie": "make no measurable difference",
        "loss": "make it worse",
        "unknown": "have too few forecasts to be judged by",
    }
    parts = [
        f"{phrase} at {_frames(groups[key])} ({', '.join(_number(skills[h]) for h in groups[key])})"
        for key, phrase in phrases.items()
        if groups[key]
    ]
    return f"Against the same model refitted without connections, the connections {_listed(parts)}."


def _grouped(skills: Mapping[int, Skill]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {"gain": [], "tie": [], "loss": [], "unknown": []}
    for horizon, skill in skills.items():
        groups[_outcome(skill)].append(horizon)
    return groups


def _outcome(skill: Skill) -> str:
    if skill.interval is None:
        return "unknown"
    if skill.interval.low > 0:
        return "gain"
    return "loss" if skill.interval.high < 0 else "tie"


def _shown(skill: Skill) -> str:
    return f"{_number(skill)} over {skill.over}"


def _number(skill: Skill) -> str:
    if skill.interval is None:
        return f"skill {skill.value:+.3f}"
    return f"skill {skill.value:+.3f} [{skill.interval.low:+.3f}, {skill.interval.high:+.3f}]"


def _frames(horizons: Sequence[int]) -> str:
    return f"{_listed([str(h) for h in horizons])} {'frame' if list(horizons) == [1] else 'frames'}"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
