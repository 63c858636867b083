"""A network: ordered, named layers, what is observed of the last, and one time step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from neurotorch.connections.connection import Connection
from neurotorch.connections.electrical import ElectricalConnection
from neurotorch.core.checks import check_positive
from neurotorch.engine import Run, adjoint
from neurotorch.network.addresses import feedback_ends, with_overrides
from neurotorch.network.checks import (
    check_activity_finite,
    check_named_layers,
    check_noise,
    check_parts,
    check_stable,
)
from neurotorch.network.circuits import Circuits, Conditions, check_state
from neurotorch.network.coupling import check_coupling_stable
from neurotorch.network.delays import last_steps
from neurotorch.network.extent import extent
from neurotorch.network.forcing import Forcing
from neurotorch.network.freezing import set_trainable
from neurotorch.network.layer import Layer, LayerState
from neurotorch.network.learned_start import LearnedStart
from neurotorch.network.observation import Observation

NetworkState = tuple[LayerState, ...]


class NetworkRun(NamedTuple):
    """What a network did: `output` ``(frame, batch, neuron)``, the `state` after it, and the engine's run by layer."""

    output: Tensor
    state: NetworkState
    runs: tuple[Run, ...]


class Network(nn.Module):
    """Ordered, named layers, each receiving the one before it in the same step.

    Feedback closes loops: what a later layer (or the same) emitted reaches an earlier one a step later, in one scan.
    Connections with a delay carry activity that many seconds later, in whole steps.

    Parameters
    ----------
    layers
        Name to layer, in order. All but the first need an input connection.
    dt
        Time step in seconds.
    observation
        What the instrument sees of the last layer; without one, the quantity that its neurons show.
    feedback
        ``"source -> target"`` to connection, the source not before the target.
    learned_start
        Whether the state from which runs start is learned: one for all samples, at rest before training, the part
        ``"start"``. Online e-prop, which has no way back to it, leaves it as it is.

    Notes
    -----
    Effective weights have addresses: ``"cortex.inputs"``, ``"cortex.recurrent"``, ``"readout -> cortex"``,
    ``"cortex.electrical"`` (conductances).
    """

    def __init__(
        self,
        layers: Mapping[str, Layer],
        *,
        dt: float,
        observation: Observation | None = None,
        feedback: Mapping[str, Connection] | None = None,
        learned_start: bool = False,
    ) -> None:
        super().__init__()
        self.dt = check_positive("dt", dt, "s")
        check_named_layers(layers, Layer)
        check_parts(observation, feedback, learned_start, Observation)
        self.layers = nn.ModuleDict(layers)
        self.observation = observation
        self.feedback = nn.ModuleDict(feedback or {})
        self._check_layers()
        sizes = {name: layer.neurons for name, layer in self.named_layers().items()}
        connections = self.connections()
        self._loops = {address: feedback_ends(address, sizes, connections[address]) for address in self.feedback}
        self.learned_start, self.start = learned_start, None
        if learned_start:
            rates = [layer.neuron.emits == "rates" for layer in self.named_layers().values()]
            self.start = LearnedStart(self.initial_state(), rates)

    @property
    def frame_dt(self) -> float:
        """Seconds of one frame of the output."""
        return self.dt * (1 if self.observation is None else self.observation.steps_per_frame)

    @property
    def neurons(self) -> int:
        """Neurons of the last layer."""
        return self._layer(-1).neurons

    def forward(
        self,
        inputs: Tensor | None,
        state: NetworkState | None = None,
        *,
        frames: int | None = None,
        forcing: Forcing | None = None,
        weights: Mapping[str, Tensor] | None = None,
        detach_recurrent: bool = False,
        recompute: bool = False,
    ) -> tuple[Tensor, NetworkState]:
        """Run the network.

        Parameters
        ----------
        inputs
            ``(frame, batch, channel)``, held over the steps of a frame, or None for a network that runs by itself.
        state
            Where to start; at rest by default.
        frames
            How long to run, where neither inputs nor forcing say.
        forcing
            Data that the last layer is pulled to.
        weights
            Effective weights by address, in place of the network's own: a lesion.
        detach_recurrent
            Whether gradients take activity that arrives by recurrent connections and feedback as a constant.
            The result is the same; its gradient is that of e-prop.
        recompute
            Whether to keep states at the borders of blocks of time only, and run them again for the gradient: less
            memory, one more forward scan, the same gradient.

        Returns
        -------
        output
            ``(frame, batch, neuron)``: what is observed of the last layer, before any forcing of that frame.
        state
            Where the network ended.
        """
        run = self.run(
            inputs,
            state,
            frames=frames,
            forcing=forcing,
            weights=weights,
            detach_recurrent=detach_recurrent,
            recompute=recompute,
        )
        return run.output, run.state

    def run(
        self,
        inputs: Tensor | None,
        state: NetworkState | None = None,
        *,
        frames: int | None = None,
        forcing: Forcing | None = None,
        weights: Mapping[str, Tensor] | None = None,
        noise: Mapping[str, Tensor] | None = None,
        record: bool = False,
        detach_recurrent: bool = False,
        recompute: bool = False,
    ) -> NetworkRun:
        """Run the network as `forward` does and return everything.

        `noise` maps names of layers to currents ``(step, batch, neuron)``; with `record`, states and currents are kept.
        """
        check_state(state, list(self.layers))
        samples = None if state is None else state[0].history.shape[1]
        frames, batch = extent(inputs, forcing, frames=frames, samples=samples, neurons=self.neurons)
        state = self.initial_state(batch) if state is None else state
        held = 1 if self.observation is None else self.observation.steps_per_frame
        steps = frames * held
        check_noise(noise, {name: (steps, batch, layer.neurons) for name, layer in self.named_layers().items()})
        activity = inputs.repeat_interleave(held, dim=0) if inputs is not None and held > 1 else inputs
        weight = with_overrides(self.effective_weights(), weights)
        entry = f"{next(iter(self.layers))}.inputs"
        activity, met, underway = self._layer(0).arrivals(
            activity, weight.get(entry), state[0], steps=steps, dt=self.dt
        )
        if met is not None:
            weight[entry] = met
        circuits = self._circuits()
        during = Conditions(steps, batch, weight, frozenset(weights or ()), forcing, noise or {})
        states, runs = [], []
        for group in circuits.groups():
            populations, links = circuits.circuit(group, activity, state, during)
            if detach_recurrent:
                links = [link._replace(detached=link.closes_loop) for link in links]
            group_runs = adjoint.scan(populations, links, record=record, recompute=recompute)
            for index, run in zip(group, group_runs, strict=True):
                check_activity_finite(list(self.layers)[index], run)
                history = last_steps(state[index].history, run.emitted)
                states.append(LayerState(run.state, history, None if index else underway))
                runs.append(run)
            activity = group_runs[-1].emitted
        return NetworkRun(self._observed(runs[-1].seen), tuple(states), tuple(runs))

    def effective_weights(self) -> Mapping[str, Tensor]:
        """Return every effective weight ``(post, pre)`` by its address, conductances of gap junctions among them."""
        found = {address: connection.weight() for address, connection in self.connections().items()}
        return found | {address: junctions.weight() for address, junctions in self.electrical_connections().items()}

    def connections(self) -> dict[str, Connection]:
        """Return every synaptic connection by its address; see `electrical_connections` for gap junctions."""
        found: dict[str, Connection] = {}
        for name, layer in self.named_layers().items():
            for kind in ("inputs", "recurrent"):
                connection = getattr(layer, kind)
                if connection is not None:
                    found[f"{name}.{kind}"] = connection
        for address, connection in self.feedback.items():
            assert isinstance(connection, Connection)
            found[address] = connection
        return found

    def electrical_connections(self) -> dict[str, ElectricalConnection]:
        """Return the gap junctions of each layer that has some, by address: ``"cortex.electrical"``."""
        layers = self.named_layers().items()
        return {f"{name}.electrical": layer.electrical for name, layer in layers if layer.electrical is not None}

    def named_layers(self) -> dict[str, Layer]:
        """Return the layers by name, in order."""
        return {name: layer for name, layer in self.layers.items() if isinstance(layer, Layer)}

    def initial_state(self, batch: int = 1) -> NetworkState:
        """Return the state at rest, or the learned one."""
        circuits = self._circuits()
        rest = tuple(self._initial(index, batch, circuits) for index in range(len(self.layers)))
        return rest if self.start is None else self.start(rest)

    def freeze(self, *addresses: str) -> None:
        """Keep training from moving parts of the network.

        A part is a layer (``"cortex"``), its neurons or bias (``"cortex.neuron"``, ``"cortex.bias"``), a connection by
        its address (``"readout.inputs"``, ``"readout -> cortex"``), or the ``"observation"``. Its parameters get no
        gradient any more, and neither learning rules nor `project_` move them. What is frozen is part of the state of a
        learning rule, not of the network's `state_dict`.
        """
        set_trainable(self._parts(), addresses, trainable=False)

    def unfreeze(self, *addresses: str) -> None:
        """Let training move parts of the network again, named as in `freeze`."""
        set_trainable(self._parts(), addresses, trainable=True)

    @torch.no_grad()
    def project_(self) -> None:
        """Move parameters that are not frozen back into their constraints; rules call it after every update."""
        frozen = [(parameter, parameter.clone()) for parameter in self.parameters() if not parameter.requires_grad]
        for connection in self.connections().values():
            connection.project_()
        for junctions in self.electrical_connections().values():
            junctions.project_()
        for layer in self.named_layers().values():
            layer.neuron.project_(self.dt)
        if self.observation is not None and self.observation.instrument is not None:
            self.observation.instrument.project_(self.dt)
        for parameter, kept in frozen:
            parameter.copy_(kept)

    def dale_violations(self) -> int:
        """Return how many effective weights have a sign that Dale's law forbids."""
        return sum(
            int(connection.dale.violations(connection.weight()))
            for connection in self.connections().values()
            if connection.dale is not None
        )

    def _parts(self) -> dict[str, nn.Module]:
        """Return what can be frozen, by address; a layer that is named "observation" hides the observation."""
        parts: dict[str, nn.Module] = {} if self.observation is None else {"observation": self.observation}
        parts.update({} if self.start is None else {"start": self.start})
        parts.update(self.named_layers())
        for name, layer in self.named_layers().items():
            parts[f"{name}.neuron"] = layer.neuron
            if layer.bias is not None:
                parts[f"{name}.bias"] = layer.bias
        return {**parts, **self.connections(), **self.electrical_connections()}

    def _observed(self, seen: Tensor) -> Tensor:
        """Return the output, of what the scan of the last layer shows."""
        if self.observation is None:
            return seen
        return self.observation.outward(seen) if self.observation.is_direct() else self.observation.frames(seen)

    def _circuits(self) -> Circuits:
        return Circuits(self.named_layers(), self.connections(), self._loops, self.observation, self.dt)

    def _layer(self, index: int) -> Layer:
        layer = list(self.layers.values())[index]
        assert isinstance(layer, Layer)
        return layer

    def _initial(self, index: int, batch: int, circuits: Circuits) -> LayerState:
        layer = self._layer(index)
        state = layer.initial_state(batch, layer.like().new_empty(0, layer.neurons), circuits.observation_of(index))
        state = layer.with_past(state, circuits.reach(index), dt=self.dt)
        return state._replace(underway=None) if index else state

    def _check_layers(self) -> None:
        before: str | None = None
        for name, layer in self.named_layers().items():
            check_stable(f"layer {name!r}", layer.neuron, self.dt)
            if layer.electrical is not None:
                check_coupling_stable(f"layer {name!r}", layer.electrical, layer.neuron, self.dt)
            if before is not None:
                expected = self.named_layers()[before].neurons
                if layer.inputs is None or layer.inputs.pre != expected:
                    raise ValueError(
                        f"Layer {name!r} follows {before!r}: give it `inputs=Connection({expected}, {layer.neurons})`."
                    )
            before = name
        for address, connection in self.connections().items():
            try:
                connection.lags(self.dt, soonest=0)
            except ValueError as error:
                raise ValueError(f"In connection {address!r}, {error}") from None
        if self.observation is not None:
            self.observation.check_neurons(self.neurons)
            if self.observation.instrument is not None:
                check_stable("the instrument", self.observation.instrument, self.dt)
