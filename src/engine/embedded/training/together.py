"""Lets two processes of one thread each train one model: faster than two threads when the machine is busy."""

import os
from pathlib import Path

import torch
import torch.distributed as dist


def launch(train, arguments):
    """Runs train(rank, world, arguments) in as many processes as asked for."""
    Path(arguments.out).mkdir(parents=True, exist_ok=True)
    (Path(arguments.out) / "meet").unlink(missing_ok=True)
    if arguments.processes == 1:
        train(0, 1, arguments)
    else:
        os.environ["OMP_NUM_THREADS"] = "1"
        torch.multiprocessing.spawn(train, (arguments.processes, arguments), arguments.processes)


def join(rank, world, arguments):
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))
    if world > 1:
        dist.init_process_group(
            "gloo", init_method=f"file://{Path(arguments.out).absolute()}/meet", rank=rank, world_size=world
        )


def leave(world):
    if world > 1:
        dist.barrier()
        dist.destroy_process_group()


def share(parameters, world):
    """Gives every process the first one's parameters."""
    if world > 1:
        for p in parameters:
            dist.broadcast(p.data, 0)


def average_gradients(parameters, clock, world):
    """Gives every process the mean gradient, and the mean of their clocks, so that all stop at the same step."""
    for p in parameters:
        if p.grad is None:
            p.grad = torch.zeros_like(p)
    if world == 1:
        return clock
    flat = torch.cat([p.grad.reshape(-1) for p in parameters] + [torch.tensor([clock])])
    dist.all_reduce(flat)
    flat /= world
    at = 0
    for p in parameters:
        p.grad = flat[at : at + p.numel()].view(p.shape).clone()
        at += p.numel()
    return flat[-1].item()
