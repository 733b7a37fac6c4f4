"""The command line: `mixaug recipes`, `preview`, `compare`, `report` and `augment`."""

import sys

try:
    import typer  # noqa: F401 - the packages of the extra `lab` come together
except ModuleNotFoundError:
    sys.exit("mixaug: the command line needs packages that are not installed; pip install 'mixaug[lab,tensorflow]'")

from .main import main

__all__ = ["main"]
