"""What the benchmarks beside Python's libraries have in common."""

import os
import pathlib
import platform
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def enter_venv(venv, *requirements):
    """Runs this script again with the interpreter of the virtual environment, which is made first if need be with what
    these files of the project want."""
    if pathlib.Path(sys.prefix).resolve() == venv.resolve():
        return
    if not (venv / "bin/python").exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        options = [word for file in requirements for word in ("--requirement", ROOT / file)]
        subprocess.run([venv / "bin/pip", "install", "--quiet", *options], check=True)
    os.execv(venv / "bin/python", [str(venv / "bin/python"), *sys.argv])


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()
