"""Lets several processes train one model, or one process use as many threads as nobody else needs."""

import os
import time
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


class Threads:
    """All processors while the machine is idle, one fewer while others work: threads that wait for a busy processor
    make every step several times slower."""

    def __init__(self, most=os.cpu_count(), every=20.0):
        self.most, self.every, self.last = most, every, _times()

    def settle(self):
        """To be called between steps; looks at the machine every `every` seconds."""
        busy, own, now = _times()
        if now - self.last[2] < self.every:
            return
        others = ((busy - self.last[0]) - (own - self.last[1])) / (now - self.last[2])
        self.last = busy, own, now
        torch.set_num_threads(max(1, self.most - round(others + 0.25)))


def _times():
    """Seconds of processor time: the machine's, this process's; and the clock's."""
    ticks = [int(n) for n in Path("/proc/stat").read_text().split(maxsplit=9)[1:9]]
    busy = (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) / os.sysconf("SC_CLK_TCK")
    return busy, time.process_time(), time.monotonic()
