"""Muon for matrices and convolutions with AdamW for the rest: learns in far fewer pictures than AdamW alone."""

import torch
import torch.distributed as dist


class MuonAdam:
    """Takes (name, parameter) pairs; names that contain a word of `plain` are left to AdamW."""

    def __init__(
        self,
        named,
        muon=0.02,
        adam=1e-3,
        decay=0.01,
        momentum=0.95,
        plain=("conv_in", "conv_out", "quant_conv", "embed"),
    ):
        self.muon, self.decay, self.momentum = muon, decay, momentum
        shapes, rest = {}, []
        for name, p in named:
            if p.ndim >= 2 and not any(word in name for word in plain):
                shapes.setdefault((p.shape[0], p[0].numel()), []).append(p)
            else:
                rest.append(p)
        # Matrices of one shape are stepped together, four at a time; with several processes each does a part of them.
        self.groups = [
            (shape, ps[i : i + 4], torch.zeros(len(ps[i : i + 4]), *shape))
            for shape, ps in shapes.items()
            for i in range(0, len(ps), 4)
        ]
        self.groups.sort(key=lambda g: -len(g[1]) * g[0][0] * g[0][1] * min(g[0]))
        self.rank, self.world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        self.adam = torch.optim.AdamW(rest, lr=adam, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
        self.adam_rate = adam

    @torch.no_grad()
    def step(self, factor=1.0):
        """One step; `factor` scales both learning rates."""
        for group in self.adam.param_groups:
            group["lr"] = self.adam_rate * factor
        self.adam.step()
        rate = self.muon * factor
        updates = []
        for i, ((rows, columns), parameters, memory) in enumerate(self.groups):
            if (i + i // self.world) % self.world != self.rank:
                updates.append(torch.zeros_like(memory))
                continue
            gradient = torch.stack([p.grad.reshape(rows, columns) for p in parameters])
            memory.lerp_(gradient, 1 - self.momentum)
            updates.append(_orthogonal(gradient.lerp(memory, self.momentum)))
        if self.world > 1:
            flat = torch.cat([u.reshape(-1) for u in updates])
            dist.all_reduce(flat)
            updates = [u.view(m.shape) for u, (_, _, m) in zip(flat.split([u.numel() for u in updates]), self.groups)]
        for ((rows, columns), parameters, _), update in zip(self.groups, updates):
            scale = max(1, rows / columns) ** 0.5
            for p, u in zip(parameters, update):
                p.mul_(1 - rate * self.decay)
                p.add_(u.reshape(p.shape), alpha=-rate * scale)


def _orthogonal(matrices, rounds=5):
    """The nearest orthogonal matrices, roughly, by Newton-Schulz iterations."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(rounds):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.mT if tall else x
