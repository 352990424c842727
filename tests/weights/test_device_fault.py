"""A fault of the device is told apart from a lack of memory and from our own faults."""

import pytest
import torch

from velatura.weights.device_fault import is_device_fault


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("an illegal memory access was encountered"),
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("HIP error: unspecified launch failure"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        caused(ValueError("of a library around it"), torch.AcceleratorError("unknown error")),
    ],
)
def test_faults_of_a_device(error):
    assert is_device_fault(error)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
        RuntimeError("shapes cannot be multiplied"),
        ValueError("CUDA error"),
        None,
    ],
)
def test_other_faults(error):
    assert not is_device_fault(error)
