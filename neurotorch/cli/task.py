"""From the arguments of ``neurotorch fit`` to the objects that a notebook would hand to `runs.fit`."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from neurotorch.cli.console import say
from neurotorch.cli.parser import UsageError

if TYPE_CHECKING:
    from neurotorch.data import Recording
    from neurotorch.runs import Blueprint, LiteraturePlan, TrainingPlan
    from neurotorch.runs.demo import Demo

HELD_OUT = 0.2
RECORDING = ("axes", "dt", "key", "inputs_key")
START = ("warm_start", "no_warm_start", "rule")
PLAN = ("epochs", "seconds", "learning_rate", "warm_up", "free", "batch_size", "weaning")

Plan = TypeVar("Plan", "TrainingPlan", "LiteraturePlan")


class Task(NamedTuple):
    """What is to be fitted: a recording without dead neurons, how, and the simulated truth where there is one."""

    recording: Recording
    blueprint: Blueprint
    plan: TrainingPlan | LiteraturePlan
    demo: Demo | None = None


def check_usage(args: argparse.Namespace) -> None:
    """Raise if options are given that would do nothing."""
    if args.path is None:
        _refuse(args, RECORDING, "without PATH, since the recording is then simulated")
    if args.protocol == "literature":
        _refuse(args, ("held_out",), "under --protocol literature, which holds nothing out")
        _refuse(args, START, "under --protocol literature, which has a start and a rule of its own")
    elif args.no_warm_start and args.rule == "none":
        raise UsageError("--no-warm-start with --rule none would fit nothing: leave out one of them")


def task_of(args: argparse.Namespace) -> Task:
    """Return what the arguments ask for.

    Raises
    ------
    ValueError, OSError
        If the recording cannot be read, or an option makes no sense.
    """
    from neurotorch.data import read
    from neurotorch.runs import Blueprint, LiteraturePlan, TrainingPlan

    if args.path is None:
        return _demo_task(args)
    blueprint = _blueprint(Blueprint(), args)
    literature = args.protocol == "literature"
    plan = _plan(LiteraturePlan(), args) if literature else _training(TrainingPlan(), blueprint, args)
    recording = read(args.path, dt=args.dt, axes=args.axes, key=args.key, inputs_key=args.inputs_key)
    return Task(_alive(recording, args), blueprint, plan)


def held_out(args: argparse.Namespace) -> float:
    """Return the fraction of time that is kept for the score."""
    return HELD_OUT if args.held_out is None else args.held_out


def _demo_task(args: argparse.Namespace) -> Task:
    from neurotorch.runs import LiteraturePlan
    from neurotorch.runs.demo import demo_blueprint, demo_plan, demo_recording

    demo = demo_recording(seed=args.seed)
    blueprint = _blueprint(demo_blueprint(demo), args)
    literature = args.protocol == "literature"
    plan = _plan(LiteraturePlan(), args) if literature else _training(demo_plan(), blueprint, args)
    return Task(_alive(demo.recording, args), blueprint, plan, demo)


def _refuse(args: argparse.Namespace, names: tuple[str, ...], where: str) -> None:
    given = [option(name) for name in names if getattr(args, name) not in (None, False)]
    if given:
        raise UsageError(f"{', '.join(given)} {'does' if len(given) == 1 else 'do'} nothing {where}")


def option(name: str) -> str:
    """Return the option that fills the attribute `name`."""
    return f"--{name.replace('_', '-')}"


def _blueprint(blueprint: Blueprint, args: argparse.Namespace) -> Blueprint:
    from neurotorch.runs import neuron_named

    if args.neuron is not None:
        blueprint = dataclasses.replace(blueprint, neuron=neuron_named(args.neuron))
    if args.no_dale or args.excitatory is not None:
        blueprint = dataclasses.replace(blueprint, excitatory=args.excitatory, dale=None)
    if args.steps_per_frame is not None:
        blueprint = dataclasses.replace(blueprint, steps_per_frame=args.steps_per_frame)
    return blueprint


def _plan(plan: Plan, args: argparse.Namespace) -> Plan:
    has = {field.name for field in dataclasses.fields(plan)}
    _refuse(args, tuple(name for name in PLAN if name not in has), f"under --protocol {args.protocol}")
    given = {name: value for name in PLAN if (value := getattr(args, name)) is not None}
    return dataclasses.replace(plan, **given)


def _training(plan: TrainingPlan, blueprint: Blueprint, args: argparse.Namespace) -> TrainingPlan:
    """Return the plan with the start and the rule that are asked for; the options of training need a rule."""
    from neurotorch.runs import rule_named

    plan = _plan(plan, args)
    if args.warm_start or args.no_warm_start:
        plan = dataclasses.replace(plan, warm_start=bool(args.warm_start))
    if args.rule is not None:
        plan = dataclasses.replace(plan, rule=None if args.rule == "none" else rule_named(args.rule))
    start = plan.start(blueprint)
    if start is None and args.rule == "none":
        from neurotorch.runs import WarmStart

        raise UsageError(f"--rule none would fit nothing: {WarmStart.refusal(blueprint)}")
    if plan.rule_after(start) is None:
        _refuse(args, PLAN, "after a warm start without a rule: add --rule bptt, or --no-warm-start")
    return plan


def _alive(recording: Recording, args: argparse.Namespace) -> Recording:
    """Return the recording without the neurons that are dead, in all of it or where the network is trained.

    The protocol of the literature drops them itself, and reports what keeping them would give.
    """
    if args.protocol == "literature" and args.dead == "drop":
        if dead := recording.dead():
            say(f"dropping neurons that are dead: {dead}")
        return recording
    recording = _without(recording, recording, "", args)
    if args.protocol == "literature":
        return recording
    train, _ = recording.split(held_out(args))
    return _without(recording, train, " in the training part", args)


def _without(recording: Recording, part: Recording, where: str, args: argparse.Namespace) -> Recording:
    dead = part.dead()
    if not dead:
        return recording
    if args.dead == "error":
        raise ValueError(f"Neurons are dead{where}: {dead}. Let them be dropped with --dead drop.")
    if len(dead.neurons) == len(recording.neurons):
        raise ValueError(f"All {len(recording.neurons)} neurons are dead{where} ({dead}): nothing is left to fit.")
    say(f"dropped neurons that are dead{where}: {dead}")
    return recording.drop_dead(of=part)
