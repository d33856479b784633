"""What all packages share: the facts of Cargo.toml, the targets, and how files are written."""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass


def run(command, **options):
    """Runs a command; its failure ends the script."""
    return subprocess.run(command, check=True, **options)


def output(command, **options) -> str:
    return run(command, stdout=subprocess.PIPE, text=True, **options).stdout


def host() -> str:
    lines = output(["rustc", "-vV"]).splitlines()
    return next(line.removeprefix("host: ") for line in lines if line.startswith("host: "))


@dataclass
class Target:
    """A target triple of Rust, and its names elsewhere."""

    triple: str

    @property
    def arch(self) -> str:
        return self.triple.split("-")[0]

    @property
    def system(self) -> str:
        for name in ("linux", "darwin", "windows"):
            if name in self.triple:
                return name
        raise SystemExit(f"no packages are made for {self.triple}")

    @property
    def exe(self) -> str:
        return ".exe" if self.system == "windows" else ""

    @property
    def is_static(self) -> bool:
        return self.triple.endswith("-musl")

    @property
    def deb_arch(self) -> str:
        return {"x86_64": "amd64", "aarch64": "arm64"}[self.arch]

    @property
    def npm_name(self) -> str:
        """What Node calls the platform: `process.platform` and `process.arch`."""
        system = {"linux": "linux", "darwin": "darwin", "windows": "win32"}[self.system]
        return f"{system}-{ {'x86_64': 'x64', 'aarch64': 'arm64'}[self.arch] }"


# One npm package for each; a static binary serves every Linux.
NPM_TARGETS = [
    Target(triple)
    for triple in (
        "x86_64-unknown-linux-musl",
        "aarch64-unknown-linux-musl",
        "x86_64-apple-darwin",
        "aarch64-apple-darwin",
        "x86_64-pc-windows-msvc",
    )
]


@dataclass
class Facts:
    root: str
    target_folder: str
    dist: str
    # The name of all packages; that of the crate is another, since registries give names away once.
    name: str
    version: str
    description: str
    license: str
    authors: str
    repository: str
    base_url: str
    manylinux: str
    # The build profile of cargo.
    profile: str
    # The time that archives carry, so that the same commit makes the same bytes.
    epoch: int

    @staticmethod
    def read(out, base_url, manylinux, profile) -> "Facts":
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        metadata = json.loads(output(["cargo", "metadata", "--format-version=1", "--no-deps", "--locked"], cwd=root))
        package = next(package for package in metadata["packages"] if package["name"] == "hf-cli")
        version = package["version"]
        repository = package["repository"] or ""
        dist = os.path.abspath(out or os.path.join(root, "dist"))
        os.makedirs(dist, exist_ok=True)
        return Facts(
            root=root,
            target_folder=metadata["target_directory"],
            dist=dist,
            name=package["metadata"]["packaging"]["name"],
            version=version,
            description=package["description"],
            license=package["license"],
            authors=package["metadata"]["packaging"]["maintainer"],
            repository=repository,
            base_url=(base_url or (f"{repository}/releases/download/v{version}" if repository else "")).rstrip("/"),
            manylinux=manylinux or "",
            profile=profile,
            epoch=int(os.environ.get("SOURCE_DATE_EPOCH") or commit_time(root)),
        )

    def path(self, *parts) -> str:
        return os.path.join(self.root, *parts)


def commit_time(root) -> int:
    try:
        return int(output(["git", "log", "-1", "--format=%ct"], cwd=root, stderr=subprocess.DEVNULL))
    except (subprocess.CalledProcessError, FileNotFoundError, ValueError):
        return 315532800  # 1980, the first year that a zip file knows


def build_environment(facts):
    """What a build gets: the commit, which `hf version --json` names, and the time, which C compilers take.
    Wheel and binary must get the same, or cargo would build twice."""
    time = {"SOURCE_DATE_EPOCH": str(facts.epoch)}
    try:
        commit = output(["git", "rev-parse", "HEAD"], cwd=facts.root, stderr=subprocess.DEVNULL).strip()
    except (subprocess.CalledProcessError, FileNotFoundError):
        return {**time, **os.environ}
    return {"HF_BUILD_COMMIT": commit, **time, **os.environ}


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    os.chmod(path, mode)


def copy(source, path, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copyfile(source, path)
    os.chmod(path, mode)


def tree(folder):
    """All files below a folder with their names inside it, in a stable order."""
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(place, name)
            yield path, os.path.relpath(path, folder).replace(os.sep, "/")


def tar_gz(path, folder, inside, epoch):
    """Packs a folder under the name `inside`: owner root, one time, no name of this machine."""
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=epoch) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for source, name in tree(folder):
                info = tarfile.TarInfo(f"{inside}/{name}")
                with open(source, "rb") as file:
                    data = file.read()
                info.size, info.mtime = len(data), epoch
                info.mode = 0o755 if os.access(source, os.X_OK) else 0o644
                info.uname = info.gname = "root"
                archive.addfile(info, io.BytesIO(data))


def zip_file(path, folder, inside):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for source, name in tree(folder):
            with open(source, "rb") as file:
                archive.writestr(zipfile.ZipInfo(f"{inside}/{name}"), file.read(), zipfile.ZIP_DEFLATED)


def sha256(path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksums(dist):
    """SHA256SUMS of everything in the folder, as `sha256sum -c` reads it."""
    names = sorted(
        name for name in os.listdir(dist) if name != "SHA256SUMS" and os.path.isfile(os.path.join(dist, name))
    )
    write(os.path.join(dist, "SHA256SUMS"), "".join(f"{sha256(os.path.join(dist, name))}  {name}\n" for name in names))
