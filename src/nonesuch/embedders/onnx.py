"""Any face model in ONNX, through onnxruntime (the `[onnx]` extra)."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nonesuch.core.errors import NonesuchError


class OnnxNetwork:
    """An ONNX session behind the call of a torch embedder: (B, 3, H, W) float32 -> (B, D). Not differentiable.

    Raises:
        NonesuchError: onnxruntime is not installed, the file is no ONNX model, or it has several inputs.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise NonesuchError("ONNX models need onnxruntime: pip install 'nonesuch[onnx]'") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        providers = [
            name
            for name in ("CUDAExecutionProvider", "CPUExecutionProvider")
            if name in onnxruntime.get_available_providers()
        ]
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # onnxruntime has a dozen exception classes of its own
            raise NonesuchError(f"{path}: not a readable ONNX model ({str(error).splitlines()[0]})") from error
        inputs = self.session.get_inputs()
        if len(inputs) != 1:
            raise NonesuchError(f"{path}: a face embedder has one input, this model has {len(inputs)}")
        self.input_name = inputs[0].name
        self.fixed_batch = inputs[0].shape[0] if isinstance(inputs[0].shape[0], int) else None

    def __call__(self, prepared: Tensor, /) -> Tensor:
        data = prepared.float().cpu().numpy()
        step = self.fixed_batch or len(data)
        padded = np.concatenate([data, np.repeat(data[-1:], -len(data) % step, axis=0)])
        parts = [
            self.session.run(None, {self.input_name: np.ascontiguousarray(padded[i : i + step])})[0]
            for i in range(0, len(padded), step)
        ]
        return torch.from_numpy(np.concatenate(parts)[: len(data)].reshape(len(data), -1)).to(prepared.device)
