"""Train a spiking classifier on a data set, score it once on its test part, and save it all in a run folder.

Unless said otherwise network and training are those that were chosen for the data set on validation data. Data are
looked for in the folder that NEUROTORCH_DATA names, then in a cache, and else downloaded into it.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from neurotorch.cli import report
from neurotorch.cli.console import say
from neurotorch.cli.folder import begun, check_same, is_finished
from neurotorch.cli.parser import UsageError, add_threads, use_threads

if TYPE_CHECKING:
    from neurotorch.cli.parser import Parser
    from neurotorch.runs.classification import ClassificationTask, ClassifierBlueprint, ClassifierPlan, Presentation

HELP = "train a spiking classifier on a data set"
DATA = ("mnist", "fashion-mnist", "heidelberg", "spoken-digits")
PRESENTATION = ("steps", "dt", "pool", "root", "stretched")
ONLY_SPIKES, ONLY_IMAGES = ("pool", "root", "stretched"), ("encoding",)
NETWORK = ("tau_mem", "tau_syn", "tau_readout", "spread", "slope", "excitatory", "recurrent", "learned_constants")
NEEDED = {"tau_mem": "tau_mem", "tau_syn": "tau_syn", "spread": "tau_mem", "slope": "surrogate"}
"""What a model must take, beside `tau_mem`, for an option to change it."""
PLAN = ("epochs", "batch_size", "learning_rate", "weight_decay", "smoothing", "keep", "validation", "firing_rate")


class Asked(NamedTuple):
    """What the arguments ask for."""

    task: ClassificationTask
    blueprint: ClassifierBlueprint
    plan: ClassifierPlan


def configure(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument("data", choices=DATA, metavar="DATA", help=f"one of {', '.join(DATA)}")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the run folder")
    folder = parser.add_mutually_exclusive_group()
    folder.add_argument("--overwrite", action="store_true", help="replace a run that is in the folder")
    folder.add_argument("--resume", action="store_true", help="continue a run that was cut off, with the same settings")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where the files of the data set are")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    _add_presentation(parser)
    _add_network(parser)
    _add_training(parser)
    add_threads(parser)
    parser.set_defaults(when_interrupted="interrupted; the same command with --resume continues")


def _add_presentation(parser: Parser) -> None:
    group = parser.add_argument_group("how samples are shown")
    group.add_argument("--steps", type=int, metavar="N", help="steps of the network for a sample")
    group.add_argument("--dt", type=float, metavar="S", help="duration of a step, in seconds")
    group.add_argument("--pool", type=int, metavar="N", help="neighbouring channels of spikes counted together")
    group.add_argument("--root", action=argparse.BooleanOptionalAction, help="show the roots of spike counts")
    group.add_argument(
        "--stretched", action=argparse.BooleanOptionalAction, help="stretch every spike train to fill all steps"
    )
    group.add_argument("--encoding", metavar="NAME", help="what makes activity of images, such as direct-current")


def _add_network(parser: Parser) -> None:
    group = parser.add_argument_group("network")
    group.add_argument("--neuron", metavar="NAME", help="the model of a hidden neuron, such as adaptive-lif")
    group.add_argument("--units", type=_sizes, metavar="N[,N]", help="neurons of each hidden layer")
    group.add_argument(
        "--recurrent", action=argparse.BooleanOptionalAction, help="connect the neurons of a hidden layer"
    )
    group.add_argument("--encoder", metavar="NAME", help="a layer of such neurons in front, one for each channel")
    types = group.add_mutually_exclusive_group()
    types.add_argument("--excitatory", type=float, metavar="F", help="fraction of excitatory neurons (Dale's law)")
    types.add_argument("--no-dale", action="store_true", help="let a neuron excite some and inhibit others")
    group.add_argument("--tau-mem", type=float, metavar="S", help="membrane time constant, in seconds")
    group.add_argument("--tau-syn", type=float, metavar="S", help="synaptic time constant, in seconds")
    group.add_argument("--tau-readout", type=float, metavar="S", help="time constant of the readout, in seconds")
    group.add_argument("--spread", type=float, metavar="X", help="of the logarithm of time constants at the start")
    group.add_argument(
        "--learned-constants", action=argparse.BooleanOptionalAction, help="learn the time constants of each neuron"
    )
    group.add_argument("--slope", type=float, metavar="X", help="of the surrogate derivative")


def _add_training(parser: Parser) -> None:
    group = parser.add_argument_group("training")
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of everything that is drawn (%(default)s)")
    group.add_argument("--rule", choices=("bptt", "eprop"), help="what trains (bptt)")
    group.add_argument("--epochs", type=int, metavar="N", help="how often the training part is gone through")
    group.add_argument("--batch-size", type=int, metavar="N", help="samples in a batch")
    group.add_argument("--learning-rate", type=float, metavar="X", help="at the top of its cycle")
    group.add_argument("--weight-decay", type=float, metavar="X", help="of the connections")
    group.add_argument("--smoothing", type=float, metavar="F", help="share of a label spread over all classes")
    group.add_argument("--pooling", metavar="NAME", help="of the readout over time: mean, maximum, last or sum")
    group.add_argument("--validation", type=float, metavar="F", help="fraction of the training part kept apart")
    group.add_argument("--by-speaker", action="store_true", help="keep whole speakers apart for validation")
    group.add_argument("--keep", choices=("last", "best"), help="which epoch's parameters, by validation (last)")
    group.add_argument("--firing-rate", type=float, metavar="HZ", help="keep rates near this")


def run(args: argparse.Namespace) -> None:
    """Train, save and report."""
    use_threads(args.threads)

    from neurotorch.runs.classification import classify
    from neurotorch.runs.classification.classify import settings_of
    from neurotorch.training import Progress

    task, blueprint, plan = _asked(args)
    settings = settings_of(task, blueprint, plan, args.seed)
    if args.resume and is_finished(args.out):
        check_same(args.out, settings)
        say(f"the run in {args.out} is finished, there is nothing to resume: this is its report")
        report.run(argparse.Namespace(run=args.out))
        return
    with begun(args, settings) as folder:
        result = classify(
            task,
            blueprint,
            plan=plan,
            seed=args.seed,
            checkpoints=folder.checkpoints,
            callbacks=[Progress(disable=True if args.quiet else None)],
        )
        folder.save(result)
    report.run(argparse.Namespace(run=args.out))
    print(f"\nReport, network, history and figures: {args.out}")


def _asked(args: argparse.Namespace) -> Asked:
    """Return the preset of the data set, changed as the arguments say."""
    from neurotorch.runs import neuron_named, rule_named
    from neurotorch.runs.classification import open_task, preset
    from neurotorch.runs.classification.plan import pooling_named

    chosen = preset(args.data)
    network = {name: value for name in NETWORK if (value := getattr(args, name)) is not None}
    for name in ("neuron", "encoder"):
        if getattr(args, name) is not None:
            network[name] = neuron_named(getattr(args, name))
    if args.units is not None:
        network["units"] = args.units
    if args.no_dale:
        network["excitatory"] = None
    training = {name: value for name in PLAN if (value := getattr(args, name)) is not None}
    if args.rule is not None:
        training["rule"] = rule_named(args.rule)
    if args.pooling is not None:
        training["pooling"] = pooling_named(args.pooling)
    training["by_group"] = args.by_speaker
    blueprint = dataclasses.replace(chosen.blueprint, **network)
    _check_used(args, blueprint)
    plan = dataclasses.replace(chosen.plan, **training)
    return Asked(open_task(args.data, _presented(chosen.presentation, args), folder=args.folder), blueprint, plan)


def _check_used(args: argparse.Namespace, blueprint: ClassifierBlueprint) -> None:
    """Raise if a constant is given that no neuron has."""
    from neurotorch.runs.blueprint import name_of

    models = [blueprint.neuron] if blueprint.encoder is None else [blueprint.neuron, blueprint.encoder]
    for option, needed in NEEDED.items():
        used = any({"tau_mem", needed} <= inspect.signature(model).parameters.keys() for model in models)
        if getattr(args, option) is not None and not used:
            raise UsageError(
                f"--{option.replace('_', '-')} does nothing for {' and '.join(map(name_of, models))}: leave it out"
            )


def _presented(presentation: Presentation, args: argparse.Namespace) -> Presentation:
    """Return how samples are shown, changed as the arguments say."""
    from neurotorch.runs.classification import ImagePresentation, SpikePresentation
    from neurotorch.runs.classification.presentation import encoding_named

    images = isinstance(presentation, ImagePresentation)
    if unknown := [name for name in (ONLY_SPIKES if images else ONLY_IMAGES) if getattr(args, name) is not None]:
        raise UsageError(f"--{unknown[0]} does nothing for {args.data}: leave it out")
    given = {name: value for name in PRESENTATION if (value := getattr(args, name)) is not None}
    if isinstance(presentation, SpikePresentation):
        return dataclasses.replace(presentation, **given)
    assert isinstance(presentation, ImagePresentation)
    steps = given.get("steps", presentation.duration())
    dt = given.get("dt", presentation.dt)
    return ImagePresentation(encoding_named(args.encoding or "direct-current", steps=steps, dt=dt), dt)


def _sizes(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of whole numbers, such as 128 or 128,64")
    return tuple(int(part) for part in parts)
