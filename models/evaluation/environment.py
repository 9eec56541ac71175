"""Where an evaluation ran: machine and versions, for whoever wants to repeat it."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from models.threads import processors

PACKAGES = ("interest-graph", "numpy", "scipy", "torch", "torch-geometric", "implicit", "optuna")


def environment() -> dict[str, Any]:
    """Processor, cores, accelerator, Python and the versions of the packages that compute."""
    import torch  # noqa: PLC0415 takes seconds to import

    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "cores": processors(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "",
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str:
    """The version of an installed package; empty for one that is not."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
