"""The text of the cells: part of the distribution's Linux source, and a tokenizer trained on it."""

import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tarfile

# Directories of the kernel whose .c and .h files are taken: 50 MB, more than any cell reads.
DIRECTORIES = ("block", "init", "ipc", "kernel", "mm", "net")
VOCABULARY = 2048
# The tokenizer is trained on these.
TOKENIZER_TEXT = ("kernel", "mm")


def find_archive(root):
    archives = sorted(pathlib.Path("/usr/src").glob("linux-source-*.tar.xz"))
    if not archives:
        subprocess.run([root / "scripts/install-packages.sh", "claims"], check=True)
        archives = sorted(pathlib.Path("/usr/src").glob("linux-source-*.tar.xz"))
    if not archives:
        sys.exit("no /usr/src/linux-source-*.tar.xz: install the package linux-source-6.1")
    return archives[-1]


def package_version(archive):
    package = re.sub(r"\.tar\.xz$", "", archive.name)
    query = subprocess.run(["dpkg-query", "-W", "-f=${Version}", package], capture_output=True, text=True)
    return f"{package} {query.stdout}".strip()


def extract(archive, folder):
    """Writes the files below `folder`; returns what identifies them: number, bytes and SHA-256 over names and texts."""
    taken = {}
    with tarfile.open(archive, "r|xz") as tar:
        for member in tar:
            parts = pathlib.PurePosixPath(member.name).parts
            if not member.isfile() or len(parts) < 3 or parts[1] not in DIRECTORIES:
                continue
            if not member.name.endswith((".c", ".h")):
                continue
            name, data = "/".join(parts[1:]), tar.extractfile(member).read()
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            taken[name] = hashlib.sha256(data).digest()
    digest = hashlib.sha256()
    for name in sorted(taken):
        digest.update(name.encode() + b"\0" + taken[name])
    size = sum((folder / name).stat().st_size for name in taken)
    return {"files": len(taken), "bytes": size, "sha256": digest.hexdigest()}


def prepare(root, fathom, work):
    """Makes WORK/text and WORK/tokenizer where they are missing. Returns WORK/text.json: package and SHA-256."""
    record = work / "text.json"
    if not record.exists():
        archive = find_archive(root)
        print(f"extracting {', '.join(DIRECTORIES)} from {archive}", file=sys.stderr)
        found = {"package": package_version(archive), **extract(archive, work / "text")}
        files = sorted(p for d in TOKENIZER_TEXT for p in (work / "text" / d).rglob("*.[ch]"))
        subprocess.run([fathom, "tokenize", "train", "--vocab-size", str(VOCABULARY), "--out", work / "tokenizer",
                        "--quiet", *files], check=True)
        record.write_text(json.dumps(found, indent=2) + "\n")
    return json.loads(record.read_text())
