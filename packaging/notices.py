"""The licences of everything that is linked into the binary, in one file.

`cargo metadata` says which crates a target has; the texts come from the crates' own sources. A crate
whose sources hold no text is listed with the name of its licence.
"""

import json
import os
import re

from facts import output

NAMES = re.compile(r"^(licen[cs]e|copying|notice|copyright|unlicense)", re.IGNORECASE)
# No text of a licence is longer; a file beyond it is something else.
LONGEST = 200_000


def notices(facts, target) -> str:
    command = ["cargo", "metadata", "--format-version=1", "--locked", f"--filter-platform={target.triple}"]
    metadata = json.loads(output(command, cwd=facts.root))
    packages = {package["id"]: package for package in metadata["packages"]}
    linked = reachable(metadata["resolve"])
    crates = sorted((packages[name] for name in linked), key=lambda package: (package["name"], package["version"]))
    parts = [
        f"Third-party notices of hf {facts.version} for {target.triple}\n",
        f"The program contains the {len(crates)} libraries below, and the standard library of Rust",
        "(MIT OR Apache-2.0, https://www.rust-lang.org). Texts that several libraries share stand once.\n",
    ]
    texts = {}
    for crate in crates:
        found = licence_texts(crate)
        if not found and not crate["license"]:
            raise SystemExit(f"{crate['name']} {crate['version']} names no licence")
        parts.append(f"* {crate['name']} {crate['version']}: {crate['license'] or 'see its text'}"
                     + (f" ({crate['repository']})" if crate["repository"] else ""))
        for text in found:
            key = " ".join(text.split())
            texts.setdefault(key, (text, []))[1].append(f"{crate['name']} {crate['version']}")
    for text, users in texts.values():
        parts.append("\n" + "-" * 80 + "\n" + ", ".join(users) + "\n\n" + text.strip("\n"))
    return "\n".join(parts) + "\n"


def reachable(resolve):
    """The packages that the root needs to run: neither build scripts nor procedural macros nor tests."""
    nodes = {node["id"]: node for node in resolve["nodes"]}
    seen, waiting = set(), [resolve["root"]]
    while waiting:
        for dependency in nodes[waiting.pop()]["deps"]:
            normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if normal and dependency["pkg"] not in seen:
                seen.add(dependency["pkg"])
                waiting.append(dependency["pkg"])
    return seen


def licence_texts(crate):
    folder = os.path.dirname(crate["manifest_path"])
    names = [name for name in os.listdir(folder) if NAMES.match(name)]
    if crate["license_file"] and crate["license_file"] not in names:
        names.append(crate["license_file"])
    texts = []
    for name in sorted(names):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.path.getsize(path) < LONGEST:
            with open(path, encoding="utf-8", errors="replace") as file:
                texts.append(file.read())
    return texts
