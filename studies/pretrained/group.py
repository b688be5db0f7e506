"""Several models trained side by side: one frozen language model, for each model its own low-rank addition.

Row k of a batch belongs to model k // (rows / models). With one model this is LoRA as usual; with twenty the frozen
weights are read once for all of them.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RANK, SCALE = 16, 2.0


class Added(nn.Module):
    """A frozen linear layer and, for each model, a product of two thin matrices beside it (LoRA)."""

    weight: Tensor

    def __init__(self, linear: nn.Linear, seeds: list[int]) -> None:
        super().__init__()
        self.register_buffer("weight", linear.weight.detach(), persistent=False)
        out, width = linear.weight.shape
        first = [torch.randn(width, RANK, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        self.a = nn.Parameter(torch.stack(first) / math.sqrt(width))
        self.b = nn.Parameter(torch.zeros(len(seeds), RANK, out))

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight)
        grouped = x.reshape(len(self.a), -1, x.shape[-1])
        thin = grouped @ self.a.to(x.dtype)
        both = torch.baddbmm(y.view(len(self.a), -1, y.shape[-1]), thin, self.b.to(x.dtype), alpha=SCALE)
        return both.view(y.shape)


class Whole(nn.Module):
    """A linear layer of which each model has all weights of its own, trained in full."""

    def __init__(self, weights: list[Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([weight.T.float() for weight in weights]))

    def forward(self, x: Tensor) -> Tensor:
        grouped = x.reshape(len(self.weight), -1, x.shape[-1])
        return (grouped @ self.weight.to(x.dtype)).view(*x.shape[:-1], -1)


class Projector(nn.Module):
    """For each model an affine map of image features, all started alike."""

    def __init__(self, weight: Tensor, bias: Tensor, models: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.float().repeat(models, 1, 1))  # (models, in, out)
        self.bias = nn.Parameter(bias.float().repeat(models, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        grouped = x.reshape(len(self.weight), -1, x.shape[-1])
        return (grouped @ self.weight.to(x.dtype) + self.bias.to(x.dtype)).view(*x.shape[:-1], -1)


def clip(parameters: list[nn.Parameter], most: float = 1.0) -> None:
    """Scale down the gradient of each model on its own to a norm of at most ``most``."""
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = torch.stack([grad.flatten(1).square().sum(1) for grad in grads]).sum(0).sqrt()
    factor = (most / (norm + 1e-6)).clamp(max=1)
    for grad in grads:
        grad.mul_(factor.view(-1, *[1] * (grad.ndim - 1)))
