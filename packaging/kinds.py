"""The kinds of packages. Each function makes one of a binary, and returns the paths."""

import json
import os
import re
import shutil
import subprocess
import tempfile

from facts import NPM_TARGETS, build_environment, checksums, copy, host, output, run, sha256, tar_gz, write, zip_file
from notices import notices

NOTICES = "THIRD-PARTY-NOTICES.txt"
SHELLS = {"bash": "hf", "zsh": "_hf", "fish": "hf.fish"}


def make(wanted, facts, target, binary):
    chosen = wanted or [kind for kind, (_, systems) in ALL.items() if target.system in systems]
    with tempfile.TemporaryDirectory() as work:
        common = os.path.join(work, "common")
        prepare(common, facts, target, binary)
        # The recipe names the archive's checksum, so the order of the table holds.
        for kind in [kind for kind in ALL if kind in chosen]:
            folder = os.path.join(work, kind)
            os.makedirs(folder)
            for path in ALL[kind][0](facts, target, binary, common, folder):
                print(f"{os.path.getsize(path):>10}  {os.path.relpath(path, facts.root)}")
    checksums(facts.dist)


def prepare(common, facts, target, binary):
    """What every package holds beside the binary: licence, notices, man pages, completion."""
    copy(facts.path("LICENSE"), os.path.join(common, "LICENSE"))
    write(os.path.join(common, NOTICES), notices(facts, target))
    # The pages come from the program itself. One for another machine cannot run here; one for this
    # machine's system says the same.
    speaker = binary if runs(binary) else os.environ.get("HF_SPEAKER", "")
    if not speaker:
        raise SystemExit(f"{binary} does not run here: name a build for this machine in HF_SPEAKER, for the man pages")
    # Called `hf`, since the pages and scripts repeat the name they are called by.
    named = os.path.join(common, "..", "hf")
    shutil.copyfile(speaker, named)
    os.chmod(named, 0o755)
    os.makedirs(os.path.join(common, "man"))
    quiet = {"stdout": subprocess.DEVNULL}
    run([named, "man", "--out", os.path.join(common, "man")], **quiet)
    for shell, name in SHELLS.items():
        write(os.path.join(common, "completions", name), output([named, "completions", shell]))


def runs(binary) -> bool:
    try:
        return subprocess.run([binary, "version"], capture_output=True).returncode == 0
    except OSError:
        return False


def archive(facts, target, binary, common, folder):
    inside = f"{facts.name}-{facts.version}-{target.triple}"
    shutil.copytree(common, folder, dirs_exist_ok=True)
    copy(facts.path("README.md"), os.path.join(folder, "README.md"))
    copy(facts.path("CHANGELOG.md"), os.path.join(folder, "CHANGELOG.md"))
    copy(binary, os.path.join(folder, f"hf{target.exe}"), 0o755)
    if target.system == "windows":
        path = os.path.join(facts.dist, f"{inside}.zip")
        zip_file(path, folder, inside)
    else:
        path = os.path.join(facts.dist, f"{inside}.tar.gz")
        tar_gz(path, folder, inside, facts.epoch)
    yield path


def install_script(facts, _target, _binary, _common, _folder):
    with open(facts.path("packaging", "install.sh"), encoding="utf-8") as file:
        text = file.read()
    for mark, value in (("@BASE_URL@", facts.base_url), ("@VERSION@", facts.version), ("@NAME@", facts.name)):
        text = text.replace(mark, value)
    path = os.path.join(facts.dist, "install.sh")
    write(path, text, 0o755)
    yield path


def wheel(facts, target, _binary, common, folder):
    """By maturin, of the same cargo build: it looks at what the binary needs and sets the tag."""
    shutil.copyfile(os.path.join(common, NOTICES), facts.path(NOTICES))
    command = ["maturin", "build", "--profile", facts.profile, "--locked", "--out", folder]
    # Named, the target has a build folder of its own, and cargo would build this machine's twice.
    command += ["--target", target.triple] if facts.manylinux or target.triple != host() else []
    command += ["--compatibility", f"manylinux{facts.manylinux}", "--zig"] if facts.manylinux else []
    try:
        run(command, cwd=facts.root, env=build_environment(facts))
    finally:
        os.remove(facts.path(NOTICES))
    for name in os.listdir(folder):
        path = os.path.join(facts.dist, name)
        shutil.move(os.path.join(folder, name), path)
        yield path


def npm(facts, target, binary, common, folder):
    about = {
        "version": facts.version,
        "description": facts.description,
        "license": facts.license,
        **({"repository": {"type": "git", "url": f"git+{facts.repository}.git"}} if facts.repository else {}),
    }
    name = f"@{facts.name}/{target.npm_name}"
    system, arch = target.npm_name.split("-")
    platform = os.path.join(folder, "platform")
    copy(binary, os.path.join(platform, f"hf{target.exe}"), 0o755)
    copy(os.path.join(common, "LICENSE"), os.path.join(platform, "LICENSE"))
    copy(os.path.join(common, NOTICES), os.path.join(platform, NOTICES))
    # No `bin`: the launcher's would collide with it. `preferUnplugged`: Yarn must not leave a program in a zip.
    package = {"name": name, **about, "os": [system], "cpu": [arch], "preferUnplugged": True}
    if system == "linux" and not target.is_static:
        package["libc"] = ["glibc"]
    write(os.path.join(platform, "package.json"), json.dumps(package, indent=2) + "\n")

    launcher = os.path.join(folder, "launcher")
    copy(facts.path("packaging", "npm", "hf.js"), os.path.join(launcher, "hf.js"), 0o755)
    copy(facts.path("README.md"), os.path.join(launcher, "README.md"))
    copy(facts.path("LICENSE"), os.path.join(launcher, "LICENSE"))
    package = {
        "name": facts.name,
        **about,
        "bin": {"hf": "hf.js"},
        "engines": {"node": ">=18"},
        # Exactly this version: launcher and binary are released together.
        "optionalDependencies": {f"@{facts.name}/{other.npm_name}": facts.version for other in NPM_TARGETS},
    }
    write(os.path.join(launcher, "package.json"), json.dumps(package, indent=2) + "\n")
    for source in (platform, launcher):
        made = output(["npm", "pack", "--silent", "--pack-destination", facts.dist], cwd=source)
        yield os.path.join(facts.dist, made.strip().splitlines()[-1])


def deb(facts, target, binary, common, folder):
    root = os.path.join(folder, "root")
    share = os.path.join(root, "usr", "share")
    docs = os.path.join(share, "doc", facts.name)
    copy(binary, os.path.join(root, "usr", "bin", "hf"), 0o755)
    for page in os.listdir(os.path.join(common, "man")):
        gzip_into(os.path.join(common, "man", page), os.path.join(share, "man", "man1", f"{page}.gz"))
    for shell, place in (("bash", "bash-completion/completions"), ("zsh", "zsh/vendor-completions"), ("fish", "fish/vendor_completions.d")):
        copy(os.path.join(common, "completions", SHELLS[shell]), os.path.join(share, place, SHELLS[shell]))
    copyright_file = (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        f"Upstream-Name: {facts.name}\n\nFiles: *\nCopyright: {facts.authors}\nLicense: {facts.license}\n"
        f" The full text is in /usr/share/common-licenses/{facts.license}.\n"
        f" The libraries that the program contains: /usr/share/doc/{facts.name}/{NOTICES}.gz\n"
    )
    write(os.path.join(docs, "copyright"), copyright_file)
    gzip_into(os.path.join(common, NOTICES), os.path.join(docs, f"{NOTICES}.gz"))
    gzip_into(facts.path("CHANGELOG.md"), os.path.join(docs, "changelog.gz"))
    size = sum(os.path.getsize(os.path.join(place, name)) for place, _, names in os.walk(root) for name in names)
    depends = [] if target.is_static else [f"libc6 (>= {oldest_glibc(binary)})", "libgcc-s1"]
    control = {
        "Package": facts.name,
        "Version": facts.version.replace("-", "~"),
        "Architecture": target.deb_arch,
        "Maintainer": facts.authors,
        "Installed-Size": str(size // 1024),
        **({"Depends": ", ".join(depends)} if depends else {}),
        # An amateur-radio program of the same name was in Debian.
        "Conflicts": "hf",
        "Section": "utils",
        "Priority": "optional",
        **({"Homepage": facts.repository} if facts.repository else {}),
        "Description": facts.description.rstrip("."),
    }
    write(os.path.join(root, "DEBIAN", "control"), "".join(f"{key}: {value}\n" for key, value in control.items()))
    for script in ("postinst", "prerm"):
        copy(facts.path("packaging", "deb", script), os.path.join(root, "DEBIAN", script), 0o755)
    for place, _, _ in os.walk(root):
        os.chmod(place, 0o755)
    path = os.path.join(facts.dist, f"{facts.name}_{control['Version']}_{target.deb_arch}.deb")
    # xz reads on every Debian that is still looked after; zstd does not.
    run(["dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, path], stdout=subprocess.DEVNULL,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(facts.epoch)})
    yield path


def gzip_into(source, path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        run(["gzip", "-9nc", source], stdout=file)


def oldest_glibc(binary) -> str:
    """The newest symbol version that the binary asks for."""
    with open(binary, "rb") as file:
        found = re.findall(rb"GLIBC_(\d+)\.(\d+)", file.read())
    major, minor = max((int(major), int(minor)) for major, minor in found)
    return f"{major}.{minor}"


def conda(facts, target, _binary, _common, _folder):
    """A recipe that repacks the archive: the same bytes as everywhere."""
    name = f"{facts.name}-{facts.version}-{target.triple}.tar.gz"
    packed = os.path.join(facts.dist, name)
    if not os.path.exists(packed):
        raise SystemExit(f"the conda recipe needs {name}: make the archive first")
    source = f"{facts.base_url}/{name}" if facts.base_url else f"../{name}"
    key = "url" if facts.base_url else "path"
    recipe = f"""\
# Made by packaging/build from Cargo.toml. Build it with `rattler-build build --recipe recipe.yaml`.
schema_version: 1

package:
  name: {facts.name}
  version: "{facts.version}"

source:
  {key}: {source}
  sha256: {sha256(packed)}

build:
  number: 0
  dynamic_linking:
    binary_relocation: false
  script:
    - install -D -m 755 hf "$PREFIX/bin/hf"
    - mkdir -p "$PREFIX/share/man/man1" "$PREFIX/share/bash-completion/completions"
    - cp man/*.1 "$PREFIX/share/man/man1/"
    - cp completions/hf "$PREFIX/share/bash-completion/completions/hf"

tests:
  - script:
      - test "$(command -v hf)" = "$PREFIX/bin/hf"
      - test "$(hf --version)" = "{facts.version}"
      - hf version
      - code=0; hf --no-such-flag || code=$?; test "$code" = 2
      - test -s "$PREFIX/share/man/man1/hf.1"
      - test -s "$PREFIX/share/bash-completion/completions/hf"

about:
  license: {facts.license}
  license_file:
    - LICENSE
    - {NOTICES}
  summary: {json.dumps(facts.description)}
"""
    path = os.path.join(facts.dist, "conda", "recipe.yaml")
    write(path, recipe)
    yield path


# Kind, its function, the systems it is made for.
ALL = {
    "archive": (archive, ("linux", "darwin", "windows")),
    "wheel": (wheel, ("linux", "darwin", "windows")),
    "npm": (npm, ("linux", "darwin", "windows")),
    "deb": (deb, ("linux",)),
    "conda": (conda, ("linux",)),
    "install-script": (install_script, ("linux", "darwin")),
}
