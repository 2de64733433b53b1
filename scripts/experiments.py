"""What the scripts of experiments (claims, reasoning) have in common."""

import argparse
import pathlib
import subprocess


def parse_arguments(description, root):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("run", "status", "report"))
    parser.add_argument("cells", nargs="*", metavar="CELL")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--fathom", type=pathlib.Path, default=root / "build/release/fathom")
    return parser.parse_intermixed_args()


def commit(root, *paths):
    """The commit that the binary was built from; whether one of the paths is not as it was committed."""
    git = lambda *arguments: subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True).stdout
    changed = git("status", "--porcelain", "--", *paths).strip()
    return git("rev-parse", "--short=12", "HEAD").strip() + ("+changes" if changed else "")
