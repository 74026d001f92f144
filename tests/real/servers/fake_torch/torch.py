"""Stands in for PyTorch in TorchServe's worker; not PyTorch.

TorchServe's front end (Java) and worker (Python) are the real ones. The worker imports ``torch`` for one
``isinstance(answer, torch.Tensor)``; the wheel of PyTorch takes gigabytes, and our model needs none of it.
"""


class Tensor:
    """Nothing is one."""
