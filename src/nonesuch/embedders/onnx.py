"""Any model of images in ONNX, through onnxruntime (the `[onnx]` extra)."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nonesuch.core.devices import available_cores
from nonesuch.core.errors import NonesuchError

_NUMBERS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}

_LARGEST = 4096  # side of an input


class OnnxNetwork:
    """An ONNX session behind the call of a torch embedder: (B, 3, H, W) float32 -> (B, D). Not differentiable.

    Models that take channels last (B, H, W, 3), batches of one fixed size, or another precision work as well.

    Args:
        threads: on a CPU, 0 for as many as torch has (OMP_NUM_THREADS), but no more than cores may be kept busy.
        gpu: take a GPU where onnxruntime has one.

    Attributes:
        size: side of the input where the model states it, otherwise None.

    Raises:
        NonesuchError: onnxruntime is not installed, the file is not an ONNX model or keeps tensors in other files, it
            has several inputs or outputs, or its input is not a square colour image.
    """

    def __init__(self, path: Path, threads: int = 0, gpu: bool = True) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise NonesuchError("ONNX models need onnxruntime: pip install 'nonesuch[onnx]'") from error
        _check_whole(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or min(torch.get_num_threads(), available_cores())
        options.log_severity_level = 3
        wanted = ("CUDAExecutionProvider", "CPUExecutionProvider") if gpu else ("CPUExecutionProvider",)
        providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # onnxruntime has a dozen exception classes of its own
            raise NonesuchError(f"{path}: not a readable ONNX model ({str(error).splitlines()[0]})") from error
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        if len(inputs) != 1:
            raise NonesuchError(f"{path}: the network should have one input, this model has {len(inputs)}")
        if len(outputs) != 1:
            names = ", ".join(output.name for output in outputs)
            raise NonesuchError(f"{path}: the network should have one output, this model has {names}; export one alone")
        shape = inputs[0].shape
        if len(shape) != 4:
            raise NonesuchError(f"{path}: the network should take batches of images, this model takes {shape}")
        self.channels_last = shape[3] == 3 and shape[1] != 3
        colours, *sides = (shape[3], *shape[1:3]) if self.channels_last else shape[1:]
        known = {side for side in sides if isinstance(side, int)}
        odd = (isinstance(colours, int) and colours != 3) or len(known) > 1 or max(known, default=1) > _LARGEST
        if odd or inputs[0].type not in _NUMBERS:
            raise NonesuchError(
                f"{path}: the network should take square colour images, this model takes {shape}, {inputs[0].type}"
            )
        self.path, self.input_name, self._numbers = path, inputs[0].name, _NUMBERS[inputs[0].type]
        self.fixed_batch = shape[0] if isinstance(shape[0], int) else None
        self.size = known.pop() if known else None

    def __call__(self, prepared: Tensor, /) -> Tensor:
        data = prepared.float().cpu().numpy().astype(self._numbers)
        if self.channels_last:
            data = data.transpose(0, 2, 3, 1)
        step = self.fixed_batch or len(data)
        padded = np.concatenate([data, np.repeat(data[-1:], -len(data) % step, axis=0)])
        try:
            parts = [
                self.session.run(None, {self.input_name: np.ascontiguousarray(padded[i : i + step])})[0]
                for i in range(0, len(padded), step)
            ]
        except Exception as error:
            raise NonesuchError(f"{self.path}: {str(error).splitlines()[0]}") from error
        for part in parts:
            if np.ndim(part) < 2 or len(part) != step or part[0].size != part.shape[1]:
                raise NonesuchError(f"{self.path}: gives {np.shape(part)} for {step} images, not a vector for each")
        found = np.concatenate(parts)[: len(data)].reshape(len(data), -1).astype(np.float32)
        return torch.from_numpy(found).to(prepared.device)


def _check_whole(path: Path) -> None:
    """Raises NonesuchError where a model names other files: its hash would say nothing about them.

    A place in memory counts as a file to onnxruntime, too.
    """
    try:
        import onnx
    except ImportError as error:
        raise NonesuchError("ONNX models need onnx: pip install 'nonesuch[onnx]'") from error
    try:
        model = onnx.load_model(str(path), format="protobuf", load_external_data=False)
    except Exception as error:  # protobuf has exception classes of its own
        raise NonesuchError(f"{path}: not a readable ONNX model ({error})") from error
    if _keeps_elsewhere(model):
        raise NonesuchError(
            f"{path}: keeps tensors in other files, which its hash does not cover; make one file of it with "
            f"onnx.save(onnx.load({path.name!r}), 'one.onnx')"
        )


def _keeps_elsewhere(message: Any) -> bool:
    """Whether a tensor anywhere in a model, its subgraphs or its functions is external."""
    for field, value in message.ListFields():
        if field.name == "data_location" and value == 1:  # EXTERNAL
            return True
        if field.message_type is not None:
            parts = [value] if hasattr(value, "ListFields") else value
            if any(_keeps_elsewhere(part) for part in parts):
                return True
    return False
