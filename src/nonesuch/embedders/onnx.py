"""Any model of images in ONNX, through onnxruntime (the `[onnx]` extra)."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nonesuch.core.devices import available_cores
from nonesuch.core.errors import NonesuchError


class OnnxNetwork:
    """An ONNX session behind the call of a torch embedder: (B, 3, H, W) float32 -> (B, D). Not differentiable.

    Models that take channels last (B, H, W, 3), or batches of one fixed size, work as well.

    Args:
        threads: on a CPU, 0 for as many as torch has (OMP_NUM_THREADS), but no more than cores may be kept busy.
        gpu: take a GPU where onnxruntime has one.

    Attributes:
        size: side of the input where the model states it, otherwise None.

    Raises:
        NonesuchError: onnxruntime is not installed, the file is not an ONNX model, it has several inputs, or its input
            is not an image.
    """

    def __init__(self, path: Path, threads: int = 0, gpu: bool = True) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise NonesuchError("ONNX models need onnxruntime: pip install 'nonesuch[onnx]'") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or min(torch.get_num_threads(), available_cores())
        options.log_severity_level = 3
        wanted = ("CUDAExecutionProvider", "CPUExecutionProvider") if gpu else ("CPUExecutionProvider",)
        providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # onnxruntime has a dozen exception classes of its own
            raise NonesuchError(f"{path}: not a readable ONNX model ({str(error).splitlines()[0]})") from error
        inputs = self.session.get_inputs()
        if len(inputs) != 1:
            raise NonesuchError(f"{path}: the network should have one input, this model has {len(inputs)}")
        shape = inputs[0].shape
        if len(shape) != 4:
            raise NonesuchError(f"{path}: the network should take batches of images, this model takes {shape}")
        self.path, self.input_name = path, inputs[0].name
        self.channels_last = shape[3] == 3 and shape[1] != 3
        self.fixed_batch = shape[0] if isinstance(shape[0], int) else None
        self.size = shape[2] if isinstance(shape[2], int) else None

    def __call__(self, prepared: Tensor, /) -> Tensor:
        data = prepared.float().cpu().numpy()
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
        return torch.from_numpy(np.concatenate(parts)[: len(data)].reshape(len(data), -1)).to(prepared.device)
