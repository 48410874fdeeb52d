#!/usr/bin/env python3
"""Add a model to tests/golden/archs: add_fixture.py FILL_FIXTURE NAME.head.gguf NAME.imatrix.gguf STDOUT

FILL_FIXTURE is the program of that name (build/dev/tests/support/fill_fixture), STDOUT a file with what the trusted
program printed on standard output ("[1]8.1234,[2]7.9876,..."). Copies both files and writes the manifest's row, in place
of an earlier one; rows are kept sorted, one a line.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "golden" / "archs"


def main(fill_fixture, head, matrix, stdout):
    name = pathlib.Path(head).name.removesuffix(".head.gguf")
    if pathlib.Path(matrix).name != f"{name}.imatrix.gguf":
        sys.exit(f"{matrix}: expected {name}.imatrix.gguf, the matrix that belongs to {head}")
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    run = manifest.pop("_run")
    text = pathlib.Path(stdout).read_text(errors="replace")
    perplexities = [float(value) for _, value in re.findall(r"\[(\d+)\]([-+0-9.einfa]+),", text)]
    if len(perplexities) != run["chunks"]:
        sys.exit(f"{stdout}: has {len(perplexities)} running perplexities, expected {run['chunks']}")
    with tempfile.TemporaryDirectory() as folder:
        printed = subprocess.run([fill_fixture, head, f"{folder}/model.gguf"], check=True, capture_output=True, text=True)
    for path in (head, matrix):
        if pathlib.Path(path).resolve().parent != FOLDER:
            shutil.copyfile(path, FOLDER / pathlib.Path(path).name)
    manifest[name] = {"running_ppl": perplexities, **json.loads("{" + printed.stdout + "}")}
    rows = [("_run", run), *sorted(manifest.items())]
    lines = ",\n".join(f'  {json.dumps(key)}: {json.dumps(row)}' for key, row in rows)
    (FOLDER / "manifest.json").write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
