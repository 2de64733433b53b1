"""Virtual environments that the scripts of this folder make for themselves."""

import os
import pathlib
import subprocess
import sys


def enter(path, packages):
    """Runs this script again inside the virtual environment at `path`, which gets these packages first if it lacks
    them."""
    path = path.absolute()
    python = path / "bin" / "python"
    if pathlib.Path(sys.prefix).resolve() == path.resolve():
        return
    installed, wanted = path / "installed-packages.txt", "\n".join(packages) + "\n"
    if not installed.exists() or installed.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", path], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages], check=True)
        installed.write_text(wanted)
    os.execv(python, [python, *sys.argv])
