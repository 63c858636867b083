"""Fit a network to a recording, score it on time it was not trained on, and save it all in a run folder.

Without PATH a recording of a known network is simulated first.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurotorch.cli import report
from neurotorch.cli.console import say
from neurotorch.cli.folder import begun, check_finished, is_finished, settings_of
from neurotorch.cli.parser import add_recording, add_threads, use_threads
from neurotorch.cli.task import HELD_OUT, Task, check_usage, held_out, task_of

if TYPE_CHECKING:
    from neurotorch.cli.parser import Parser
    from neurotorch.network import Network
    from neurotorch.runs import Fit, LiteratureFit

HELP = "fit a network to a recording"


def configure(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument("path", type=Path, nargs="?", metavar="PATH", help="the recording; a simulated one without it")
    _add_folder(parser)
    add_recording(parser)
    parser.add_argument(
        "--dead", choices=("drop", "error"), default="drop", help="neurons that are constant or hold NaN (%(default)s)"
    )
    _add_network(parser)
    _add_training(parser)
    add_threads(parser)
    parser.set_defaults(when_interrupted="interrupted; the same command with --resume continues")


def _add_folder(parser: Parser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the run folder")
    folder = parser.add_mutually_exclusive_group()
    folder.add_argument("--overwrite", action="store_true", help="replace a run that is in the folder")
    folder.add_argument("--resume", action="store_true", help="continue a run that was cut off, with the same settings")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def _add_network(parser: Parser) -> None:
    group = parser.add_argument_group("network")
    group.add_argument("--neuron", metavar="NAME", help="the model of a neuron, such as wilson-cowan")
    types = group.add_mutually_exclusive_group()
    types.add_argument("--excitatory", type=float, metavar="F", help="fraction of excitatory neurons (Dale's law)")
    types.add_argument("--no-dale", action="store_true", help="let a neuron excite some and inhibit others")
    group.add_argument("--steps-per-frame", type=int, metavar="K", help="network steps in a frame (1; 10 with spikes)")


def _add_training(parser: Parser) -> None:
    group = parser.add_argument_group("training")
    group.add_argument("--protocol", choices=("held-out", "literature"), default="held-out", help="(%(default)s)")
    group.add_argument("--held-out", type=float, metavar="F", help=f"fraction of time kept for the score ({HELD_OUT})")
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of everything that is drawn (%(default)s)")
    start = group.add_mutually_exclusive_group()
    start.add_argument("--warm-start", action="store_true", help="start by least squares (done where the model allows)")
    start.add_argument("--no-warm-start", action="store_true", help="start at random and train by a rule")
    group.add_argument(
        "--rule",
        choices=("bptt", "eprop", "none"),
        help="what trains after the start (none after a warm start, bptt after a random one)",
    )
    group.add_argument("--epochs", type=int, metavar="N", help="at most so many epochs")
    group.add_argument(
        "--seconds", type=float, metavar="S", help="at most so many seconds to find the number of epochs"
    )
    group.add_argument("--learning-rate", type=float, metavar="X", help="of the optimizer")
    group.add_argument("--warm-up", type=int, metavar="N", help="frames of a window that follow the data")
    group.add_argument("--free", type=int, metavar="N", help="frames of a window that run freely after them")
    group.add_argument("--batch-size", type=int, metavar="N", help="windows in a batch")
    group.add_argument(
        "--weaning", type=int, metavar="N", help="literature: N epochs of weaning in place of backpropagation"
    )


def run(args: argparse.Namespace) -> None:
    """Fit, save and report."""
    check_usage(args)
    if args.resume and is_finished(args.out):
        check_finished(args, task_of(args))
        say(f"the run in {args.out} is finished, there is nothing to resume: this is its report")
        report.run(argparse.Namespace(run=args.out))
        return
    use_threads(args.threads)

    from neurotorch.cli.progress import PhasedProgress
    from neurotorch.runs import LiteraturePlan, fit, fit_literature

    task = task_of(args)
    callbacks = [PhasedProgress(quiet=args.quiet)]
    result: Fit | LiteratureFit
    with begun(args, settings_of(args, task)) as folder:
        if isinstance(task.plan, LiteraturePlan):
            result = fit_literature(
                task.recording,
                task.blueprint,
                plan=task.plan,
                seed=args.seed,
                checkpoints=folder.checkpoints,
                callbacks=callbacks,
            )
        else:
            result = fit(
                task.recording,
                task.blueprint,
                plan=task.plan,
                held_out=held_out(args),
                seed=args.seed,
                checkpoints=folder.checkpoints,
                callbacks=callbacks,
            )
        folder.save(result, more=_recovered(task, result.network), figures=_beside_the_truth(task, result))
    report.run(argparse.Namespace(run=args.out))
    print(f"\nReport, network, history and figures: {args.out}")


def _beside_the_truth(task: Task, result: Fit | LiteratureFit) -> dict[str, Any]:
    """Return the figure of a fit beside the network that was simulated."""
    from neurotorch.runs.figures import overview_figure
    from neurotorch.runs.fit import Fit

    if task.demo is None or not isinstance(result, Fit) or task.recording.neurons != task.demo.recording.neurons:
        return {}
    return {"overview": overview_figure(result, task.demo)}


def _recovered(task: Task, network: Network) -> dict[str, Any]:
    """Return what was found again of the network that was simulated, as a part of the report."""
    if task.demo is None or task.recording.neurons != task.demo.recording.neurons:
        return {}
    from neurotorch.runs.demo import recovery

    return {"recovery": recovery(task.demo, network)}
