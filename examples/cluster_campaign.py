"""A campaign on a cluster, as one would run it on a real one: `python examples/cluster_campaign.py`.

Every tile of a network runs on the RTL by itself, handed out by a Dask scheduler. Here scheduler and workers are on
this machine; elsewhere they are `dask scheduler` and `dask worker`, or what dask-jobqueue starts, and the command is
the same. Workers must see the results' folder under the same path, and have `sdann` installed.
"""

import subprocess
import sys
from pathlib import Path

import torch
from distributed import LocalCluster
from torch import nn

import sdann

FOLDER = Path("build/examples/cluster_campaign")


def main() -> None:
    """Quantizes a small network, starts a cluster, and runs one tile of every shape, then all the others."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5)
    )  # fmt: skip
    network = sdann.quantize(module, torch.rand(16, 1, 6, 6), chip="test").save(FOLDER / "net.safetensors")
    (FOLDER / "results.db").unlink(missing_ok=True)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        command = [
            sys.executable, "-m", "sdann", "campaign", "run", str(FOLDER / "results.db"), str(network),
            "--preset", "test", "--scheduler", cluster.scheduler_address,
        ]  # fmt: skip
        subprocess.run([*command, "--shapes"], check=True)
        subprocess.run(command, check=True)  # what is there already does not run again


if __name__ == "__main__":  # workers are processes that import this file
    main()
