"""`kernelkit quickstart`: puts the first tutorial, a notebook on real photographs, where it can be opened."""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path

import click

from kernelkit.cli.options import home_option, json_option
from kernelkit.cli.output import print_json
from kernelkit.config import Home
from kernelkit.errors import InvalidOptionError, KernelKitError

NAME = "quickstart.ipynb"
NEEDS = {
    "sklearn": "scikit-learn",
    "PIL": "pillow",
    "matplotlib": "matplotlib",
}  # what the notebook imports, and its package


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".")
@click.option("--open", "opens", is_flag=True, help="Open it in JupyterLab, and stay until that ends.")
@click.option("--force", is_flag=True, help="Write over a file of that name.")
@home_option
@json_option
def quickstart(folder: Path, opens: bool, force: bool, home: Home, as_json: bool) -> None:
    """Write quickstart.ipynb into FOLDER (here, if not given): KernelKit in five minutes, on real photographs."""
    target = write(folder, force=force)
    missing = [package for module, package in NEEDS.items() if importlib.util.find_spec(module) is None]
    lab = importlib.util.find_spec("jupyterlab") is not None
    command = ["jupyter", "lab", str(target)]
    if as_json:
        print_json({"path": target, "missing": missing, "command": command, "has_jupyterlab": lab})
    else:
        click.echo(f"Written: {target}")
        if missing:
            click.echo(f"It uses packages that are not installed here: pip install {' '.join(missing)}")
        if not lab:
            click.echo("JupyterLab is not installed here: pip install 'kernelkit[lab]', or open it in your editor.")
        elif not opens:
            click.echo(f"Open it: {shlex.join(command)}")
    if opens and not lab:
        sys.exit(1)
    if opens:
        environment = {**os.environ, "KERNELKIT_HOME": str(home.path)}
        sys.exit(subprocess.run([sys.executable, "-m", *command], env=environment, check=False).returncode)


def write(folder: Path, *, force: bool) -> Path:
    """Copy the notebook into a folder, which is made; raises `InvalidOptionError` where it would write over a file."""
    target = folder.absolute() / NAME
    if target.exists() and not force:
        raise InvalidOptionError(
            f"There is a {target} already. Open that, name another folder, or write over it with --force.",
            field="folder",
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source().read_bytes())
    except OSError as problem:
        raise InvalidOptionError(f"{target} cannot be written: {problem}.", field="folder") from problem
    return target


def source() -> Path:
    """The notebook as it was shipped: inside the package of a wheel, beside it in a checkout."""
    package = Path(__file__).parent.parent
    for place in (package / "_notebooks", package.parent / "notebooks"):
        if (place / NAME).is_file():
            return place / NAME
    raise KernelKitError("The quickstart notebook is missing from this installation. Install kernelkit again.")
