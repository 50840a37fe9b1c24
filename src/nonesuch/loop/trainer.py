"""One training loop for every model: mixed precision, averaging, clipping, accumulation, exact resume.

Everything random in a step is drawn from (run seed, epoch, sample), and dropout from (run seed, step, process). So a
run that was interrupted and resumed equals one that was not. Progress is counted in images.
"""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nonesuch.core import files, seeding, weights
from nonesuch.core.devices import autocast, is_out_of_memory, sent
from nonesuch.core.errors import NonesuchError
from nonesuch.loop import distributed, split_parameters
from nonesuch.loop.interruption import stop_requests
from nonesuch.loop.loading import Loading, Order
from nonesuch.loop.optimizers import optimizer_of
from nonesuch.loop.run_folder import LOG, STATE, note_divergence
from nonesuch.loop.settings import TrainSettings, seconds_between_saves
from nonesuch.loop.step_results import Progress, StepResult, look, mean_over_processes, write_log
from nonesuch.loop.time_budget import TimeBudget

Batch = dict[str, Tensor]
Result = TypeVar("Result")
HERE = "_here"  # names that end so stay in main memory: what decides how much is computed, a device would be asked for
_STEPS_UNSEEN = 20  # of an accelerator: a look at the results waits for it


@dataclass(frozen=True)
class Player:
    """A network and what it minimises; an adversarial task has two of them.

    Attributes:
        network: the network to train, with its own optimiser.
        losses: the weighted loss terms of (batch, images seen so far), each a scalar whose sum is minimised; empty for
            a player that sits out.
        decays: whether the learning rate falls to 0 over the run, or stays after the warm-up.
    """

    network: nn.Module
    losses: Callable[[Batch, int], dict[str, Tensor]]
    decays: bool = True


class Task(Protocol):
    """The networks to train, and their losses.

    Attributes:
        players: in the order of their turns with each batch; the first one's network is averaged and is the result.
    """

    @property
    def players(self) -> Sequence[Player]: ...


class Samples(Protocol):
    """The training data. `load` must be a pure function of its arguments."""

    def __len__(self) -> int: ...

    def load(self, indices: NDArray[np.int64], seeds: list[int]) -> Batch:
        """The samples of these indices; each seed is derived from (run, epoch, sample)."""
        ...


class Trainer:
    """Runs a task in a folder; constructing it resumes what the folder holds.

    Attributes:
        step, seen: optimiser steps and images so far.
        average: the averaged weights, float32, by tensor name (parameters and buffers).
    """

    def __init__(
        self,
        task: Task,
        samples: Samples,
        settings: TrainSettings,
        folder: Path,
        device: torch.device,
        what: dict[str, Any],
        workers: int | None = 0,
    ) -> None:
        """Build what a run needs, or resume it.

        Args:
            folder: of the run, claimed for it with the same settings and `what` (`run_folder.claimed`).
            what: names the data, preset and losses, JSON-ready.
            workers: processes that load batches ahead; 0 for a thread; None to load each when it is needed.

        Raises:
            NonesuchError: the folder holds a damaged state or one of another run, or a batch is too small.
        """
        if len(samples) < settings.batch:
            raise NonesuchError(f"{len(samples)} images are fewer than one batch of {settings.batch}; give --batch")
        self.players, self.samples, self.settings = list(task.players), samples, settings
        self._check_parts()
        self.network = self.players[0].network
        self._trainable = [[p for p in player.network.parameters() if p.requires_grad] for player in self.players]
        self.folder, self.device = folder, device
        self.dtype = getattr(torch, settings.dtype)
        self.optimizers = [optimizer_of(player.network, settings) for player in self.players]
        self.scalers = [torch.amp.GradScaler(device.type, enabled=settings.dtype == "float16") for _ in self.players]
        self.average = {name: tensor.detach().clone().float() for name, tensor in _floating(self.network).items()}
        self.step = self.seen = 0
        self._unseen: list[StepResult] = []
        self._unseen_since = 0.0
        parts = settings.accumulate * distributed.world_size()
        self._loading = Loading(samples.load, Order(len(samples), settings), parts, workers)
        self._stop_requested: Callable[[], bool] = lambda: False
        self._what = json.dumps(what, sort_keys=True)
        if (folder / STATE).exists():
            self._resume()
        elif distributed.rank() == 0:
            (folder / LOG).unlink(missing_ok=True)  # of a run that died before its first save

    def _check_parts(self) -> None:
        """Raises NonesuchError where batch norm would see one image, which has no spread."""
        parts = self.settings.accumulate * distributed.world_size()
        if self.settings.batch > parts:
            return
        modules = [module for player in self.players for module in player.network.train().modules()]
        if any(isinstance(module, nn.BatchNorm1d) and module.training for module in modules):  # not of a frozen part
            raise NonesuchError(
                f"--batch {self.settings.batch}: batch norm needs two images or more at a time; "
                f"give at least {2 * parts}"
            )

    def run(
        self,
        on_step: Callable[[Progress], None],
        on_save: Callable[[], None],
        checkpoint_seconds: float | None = None,
        budget: TimeBudget | None = None,
    ) -> None:
        """Train until `settings.images` are seen, saving the state now and then and at the end.

        SIGINT and SIGTERM are heeded between two steps: the state is saved, then KeyboardInterrupt raised. On an
        accelerator losses, signals and the clock are looked at every few steps, since that waits for its work.

        Args:
            on_step: called after each look.
            on_save: called after each save, such as to export the weights.
            checkpoint_seconds: time between saves; None for NONESUCH_CHECKPOINT_SECONDS of the environment, otherwise
                300.
            budget: shortens the run so that it is over in time; what is left then is for another call.

        Raises:
            NonesuchError: a loss is not finite (the saved state is the one before), or the disk is full.
        """
        if checkpoint_seconds is None:
            checkpoint_seconds = seconds_between_saves()
        saved = time.monotonic()
        with stop_requests() as self._stop_requested, closing(self._loading):
            while self.seen < self.settings.images:
                self._guarded(self._step)
                if self.seen < self.settings.images and len(self._unseen) < self._steps_unseen:
                    continue
                on_step(self._look())
                if distributed.any_of_us(self._stop_requested()):
                    self._save_all(on_save)
                    raise KeyboardInterrupt
                fix = budget is not None and distributed.any_of_us(budget.due(self.seen))
                if fix or distributed.any_of_us(time.monotonic() - saved > checkpoint_seconds):
                    saving = time.monotonic()
                    self._save_all(on_save)
                    saved = time.monotonic()
                    if budget is not None:
                        budget.saved(saved - saving)
                if budget is not None and fix:
                    self.settings = budget.length(self.seen, self.settings, self.folder, self.device)
                if budget is not None and distributed.any_of_us(budget.over):
                    break
            self._save_all(on_save)

    def _save_all(self, on_save: Callable[[], None]) -> None:
        self.save()
        distributed.first_does(on_save)

    def save(self) -> None:
        """Write the whole state, replacing the last one in one step; the first process does so."""
        networks = [
            split_parameters.network_state(player.network, player.network.state_dict()) for player in self.players
        ]
        state = {
            "networks": networks,
            "average": split_parameters.network_state(self.network, self.average),
            "optimizers": [split_parameters.optimizer_state(optimizer) for optimizer in self.optimizers],
        }
        distributed.first_does(lambda: self._write_state(state))

    def _write_state(self, tensors: dict[str, Any]) -> None:
        state = {
            **tensors,
            "what": self._what,
            "step": self.step,
            "seen": self.seen,
            "scalers": [scaler.state_dict() for scaler in self.scalers],
            "log_bytes": (self.folder / LOG).stat().st_size if (self.folder / LOG).exists() else 0,
        }
        with files.replacing(self.folder / STATE) as temporary:
            try:
                torch.save(state, temporary)
            except RuntimeError as error:  # torch's writer hides the cause, which is nearly always the disk
                raise NonesuchError(f"{self.folder / STATE}: cannot be written; is there space left?") from error

    def averaged(self) -> dict[str, Tensor]:
        """The first player's state dict with the averaged weights in it."""
        return {**self.network.state_dict(), **self.average}

    def _resume(self) -> None:
        path = self.folder / STATE
        try:
            state = weights.read_pickled(path, mmap=True)
            if state.get("what", self._what) != self._what:
                raise NonesuchError("of another run")
            for player, saved in zip(self.players, state["networks"], strict=True):
                player.network.load_state_dict(split_parameters.network_part(player.network, saved))
            for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(split_parameters.optimizer_part(optimizer, saved))
            for scaler, saved in zip(self.scalers, state["scalers"], strict=True):
                scaler.load_state_dict(saved)
            for name, tensor in split_parameters.network_part(self.network, state["average"]).items():
                self.average[name].copy_(tensor)
            self.step, self.seen, log_bytes = state["step"], state["seen"], state["log_bytes"]
        except Exception as error:
            raise NonesuchError(
                f"{path}: not a sound state of this run; put back the right one, or move it away to start again"
            ) from error
        if distributed.rank():
            return
        # Lines written after the state would appear twice.
        with (self.folder / LOG).open("ab") as log:
            log.truncate(min(log_bytes, log.tell()))

    @property
    def _steps_unseen(self) -> int:
        return 1 if self.device.type == "cpu" else _STEPS_UNSEEN

    def _guarded(self, work: Callable[[], Result]) -> Result:
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise NonesuchError(
                f"{self.device}: out of memory; run the same command with a larger --accumulate than "
                f"{self.settings.accumulate}, which splits the batch"
            ) from error

    def _step(self) -> None:
        settings = self.settings
        if not self._unseen:
            self._unseen_since = time.monotonic()
        # What draws from the global state, such as dropout, gets a state that belongs to the step and the process.
        torch.manual_seed(seeding.derive_seed(settings.seed, self.step, distributed.rank()) >> 1)
        for player, optimizer in zip(self.players, self.optimizers, strict=True):
            player.network.train()
            optimizer.zero_grad(set_to_none=True)
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate(self.seen, player.decays)
        totals: dict[str, Tensor] = {}
        for part in self._loaded():
            part = {key: tensor if key.endswith(HERE) else sent(tensor, self.device) for key, tensor in part.items()}
            for number in range(len(self.players)):
                for name, value in self._backward(number, part).items():
                    value = value / settings.accumulate
                    totals[name] = totals[name] + value if name in totals else value
        norms = []
        for number, parameters in enumerate(self._trainable):
            norms += self._update(number, [parameter for parameter in parameters if parameter.grad is not None])
        rate = settings.learning_rate(self.seen)
        self.step += 1
        self.seen += settings.batch
        self._unseen.append(StepResult(self.step, self.seen, rate, mean_over_processes(totals), norms))
        decay = settings.ema_decay(self.seen)
        current = [tensor.float() for tensor in _floating(self.network).values()]
        torch._foreach_lerp_(list(self.average.values()), current, 1.0 - decay)

    def _loaded(self) -> list[Batch]:
        """This process's parts of a batch, all read before the first one changes anything, such as batch norm."""
        parts: list[Batch] = []
        problem: NonesuchError | None = None
        try:
            parts = self._loading.parts(self.seen, self.settings.images)
        except NonesuchError as error:
            problem = error
        if distributed.any_of_us(problem is not None):
            if self._unseen:
                self._look()
            what, saved = problem or "another process could not read its part of a batch", ""
            if self.step:
                self.save()
                saved = f" (saved at {self.seen:,} images; once this is mended, the same command goes on)"
            if self._stop_requested():  # the signal went to the workers, too
                raise KeyboardInterrupt from problem
            raise NonesuchError(f"{what}{saved}") from problem
        return parts

    def _backward(self, number: int, part: Batch) -> dict[str, Tensor]:
        """One player's turn with one part of a batch: its gradients are added while every other player is frozen."""
        player = self.players[number]
        for other, parameters in enumerate(self._trainable):
            for parameter in parameters:
                parameter.requires_grad_(other == number)
        with autocast(self.device, self.dtype):
            terms = player.losses(part, self.seen)
        if terms:
            loss = torch.stack([term.float() for term in terms.values()]).sum() / self.settings.accumulate
            self.scalers[number].scale(loss).backward()
        return {name: term.detach().float() for name, term in terms.items()}

    def _update(self, number: int, parameters: list[nn.Parameter]) -> list[Tensor]:
        """Change a player's weights; returns the norm of its gradient where that must be finite."""
        if not parameters:
            return []
        optimizer, scaler = self.optimizers[number], self.scalers[number]
        shared = [p.grad for p in parameters if p.grad is not None and not split_parameters.is_sharded(p)]
        ours = [p.grad for p in parameters if p.grad is not None and split_parameters.is_sharded(p)]
        distributed.average_(shared)
        for gradient in ours:
            gradient /= distributed.world_size()
        if ours and scaler.is_enabled() and distributed.any_of_us(not all(map(_is_finite, ours))):
            # All must skip the step and lower their scales, not only the process whose own rows overflowed.
            ours[0].fill_(torch.inf)
        scaler.unscale_(optimizer)
        norm = nn.utils.get_total_norm(shared)
        if ours:
            norm = (norm**2 + distributed.sum_of_all(nn.utils.get_total_norm(ours) ** 2)).sqrt()
        nn.utils.clip_grads_with_norm_(parameters, self.settings.clip, norm)
        scaler.step(optimizer)
        scaler.update()
        return [] if scaler.is_enabled() else [norm]  # a scaler skips a step that is not finite by itself

    def _look(self) -> Progress:
        """Wait for the steps since the last look, and log them; raises NonesuchError where one was not finite."""
        steps = self._guarded(lambda: look(self._unseen))
        speed = len(steps) * self.settings.batch / (time.monotonic() - self._unseen_since)
        self._unseen = []
        for step in steps:
            if step.problem:
                note_divergence(self.folder, step.step - 1)
                raise NonesuchError(
                    f"{step.problem} at step {step.step - 1}; run the same command with a lower --lr: it goes on from "
                    "the last save"
                )
        if distributed.rank() == 0:
            write_log(self.folder / LOG, steps, speed)
        return Progress(self.seen, self.settings.images, steps[-1].losses, speed)


def _is_finite(gradient: Tensor) -> bool:
    return bool(gradient.isfinite().all())


def _floating(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in network.state_dict().items() if tensor.is_floating_point()}
