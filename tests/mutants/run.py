#!/usr/bin/env python3
"""Plants faults in the rooms where a mistake does most harm, and counts how many the tests notice.

cargo-mutants finds the places and the faults ("replace == with !=", "return Ok(()) at once").
Building the program once for each fault would take hours, so all faults of the sample are compiled
into one program: the body of a function becomes

    { if crate::mutant::is(17) { <the body with fault 17> } else { <the body as it is> } }

and the variable HF_MUTANT says which fault is on (0: none).

    cargo install --locked cargo-mutants
    python3 tests/mutants/run.py                     # 60 faults, seed 1, spread over four folders
    python3 tests/mutants/run.py --seed 7 --count 20 --folder src/cache
    python3 tests/mutants/run.py --only 'src/cache/remove/evict.rs'   # every fault of one file
    python3 tests/mutants/run.py --changed main~20   # files changed since that commit come first
    python3 tests/mutants/run.py --jobs 8            # eight faults at a time
    python3 tests/mutants/run.py --build-only        # and later, or on another machine: --built

A fault that does not compile is dropped and the next one of the shuffled list takes its place. For
each fault the unit tests and the tests of its room run first, then (unless --room-only) all others;
the first failure ends it. A run longer than four times the run without a fault counts as noticed.
`accepted.txt` beside this file lists, with a reason each, faults that change nothing that anyone
could see; they are left out of the sample.

Exit code: 0 when at least --floor percent (85) were noticed, 1 otherwise, 2 when the tests fail
without a fault or nothing could be built.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDERS = ["src/download", "src/cache", "src/auth", "src/hub"]
# The integration tests of a room, by the start of their names.
ROOMS = {
    "src/download": ["download::"],
    "src/cache": ["cache::", "parity::cache_", "whole::door", "download::shared"],
    "src/auth": ["auth::", "cli::legacy", "parity::auth", "parity::login"],
    "src/hub": ["hub::", "download::basic", "download::faults", "download::malformed", "download::errors"],
}
SWITCH = """
//! Which planted fault is on. Written by tests/mutants/run.py, never part of the program.
use std::sync::OnceLock;
static ON: OnceLock<u32> = OnceLock::new();
/// Whether this fault is on.
#[inline]
pub fn is(number: u32) -> bool {
    *ON.get_or_init(|| {
        let text = std::env::var("HF_MUTANT").unwrap_or_default();
        text.parse().unwrap_or(0)
    }) == number
}
"""


class Fault:
    """One change to one function."""

    def __init__(self, row):
        self.row = row
        self.file = row["file"]
        self.function = row["function"]
        self.span = row["span"]
        self.replacement = row["replacement"]
        self.genre = row["genre"]
        self.name = row["name"]
        self.folder = next((f for f in FOLDERS if self.file.startswith(f)), None)
        self.number = 0

    def key(self):
        """The name without its line and column, which every edit moves."""
        return re.sub(r":\d+:\d+:", ":", self.name)


def offset(text, starts, place):
    """The index in `text` of a line and column counted from 1."""
    return starts[place["line"] - 1] + place["column"] - 1


def line_starts(text):
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return starts


def body_start(text, begin, end):
    """Where the body's brace opens: the first one outside brackets, strings and comments."""
    depth = 0
    index = begin
    while index < end:
        if text.startswith("//", index):
            index = text.index("\n", index)
        elif text[index] in "([":
            depth += 1
        elif text[index] in ")]":
            depth -= 1
        elif text[index] == '"':
            index = text.index('"', index + 1)
        elif text[index] == "{" and depth == 0:
            return index
        index += 1
    return None


def instrument(text, faults):
    """The file with all these faults compiled in, and the lines that each of them takes."""
    starts = line_starts(text)
    functions = collections.defaultdict(list)
    for fault in faults:
        span = fault.function["span"]
        key = (offset(text, starts, span["start"]), offset(text, starts, span["end"]))
        functions[key].append(fault)
    # A function inside another one is part of that one's body: only the outer one is changed.
    outer = []
    for key in sorted(functions):
        if outer and key[1] <= outer[-1][1]:
            functions[outer[-1]] += functions[key]
        else:
            outer.append(key)
    result, last, skipped = [], 0, []
    for begin, end in outer:
        brace = body_start(text, begin, end)
        head = text[begin:brace] if brace is not None else ""
        # The two arms would be of different types.
        is_opaque = re.search(r"->\s*impl\b", head)
        if brace is None or is_opaque or re.search(r"\bconst\s+(unsafe\s+)?fn\b", head):
            skipped += functions[(begin, end)]
            continue
        result.append(text[last:brace])
        result.append("{\n")
        for fault in functions[(begin, end)]:
            first = offset(text, starts, fault.span["start"])
            past = offset(text, starts, fault.span["end"])
            replacement = fault.replacement
            if fault.genre == "FnValue":
                mutated = "{ " + replacement + " }"
            else:
                mutated = text[brace:first] + replacement + text[past:end]
            result.append(f"/*>{fault.number}*/ if crate::mutant::is({fault.number}) \n")
            result.append(mutated)
            result.append(f"\n/*<{fault.number}*/ else \n")
        result.append(text[brace:end])
        result.append("\n}")
        last = end
    result.append(text[last:])
    return "".join(result), skipped


def owners(text):
    """Which fault each line of an instrumented file belongs to (0: none), from line 1."""
    lines, current = [0], 0
    for line in text.split("\n"):
        opened = re.match(r"/\*>(\d+)\*/", line)
        if opened:
            current = int(opened.group(1))
        lines.append(current)
        if re.match(r"/\*<\d+\*/", line):
            current = 0
    return lines


class Tree:
    """A copy of the sources with faults in it, in a target folder of its own."""

    def __init__(self, place):
        self.place = place
        self.root = place / "tree"
        self.target = place / "target"
        self.env = dict(os.environ, CARGO_TARGET_DIR=str(self.target))
        self.env.update(CARGO_TERM_COLOR="never", CARGO_PROFILE_DEV_DEBUG="0")
        self.env.update(CARGO_PROFILE_TEST_DEBUG="0")

    def lay(self):
        """Copies the sources, with the switch among them."""
        self.place.mkdir(parents=True, exist_ok=True)
        listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT).split(b"\0")
        wanted = {name.decode() for name in listed if name}
        for name in wanted:
            source, goal = ROOT / name, self.root / name
            if not source.exists():
                continue
            goal.parent.mkdir(parents=True, exist_ok=True)
            if not goal.exists() or goal.read_bytes() != source.read_bytes():
                shutil.copy(source, goal)
        for path in [p for p in self.root.rglob("*") if p.is_file()]:
            if str(path.relative_to(self.root)) not in wanted and "src/mutant.rs" not in str(path):
                path.unlink()
        write(self.root / "src/mutant.rs", SWITCH)
        # The Python clients, where the tests of the checkout have installed them.
        clients, here = ROOT / "target/oracle", self.target / "oracle"
        if clients.is_dir() and not here.exists():
            self.target.mkdir(exist_ok=True)
            here.symlink_to(clients)
        lib = (ROOT / "src/lib.rs").read_text()
        lines = lib.split("\n")
        place_of_mod = next(i for i, line in enumerate(lines) if re.match(r"(pub )?mod \w+;", line))
        lines.insert(place_of_mod, "#[doc(hidden)]\npub mod mutant;")
        write(self.root / "src/lib.rs", "\n".join(lines))

    def plant(self, faults):
        """Writes the instrumented files. Returns the faults that cannot be written."""
        skipped = []
        by_file = collections.defaultdict(list)
        for fault in faults:
            by_file[fault.file].append(fault)
        for file in {f.file for f in faults} | self.planted():
            text, left = instrument((ROOT / file).read_text(), by_file.get(file, []))
            skipped += left
            write(self.root / file, text)
        return skipped

    def planted(self):
        marked = set()
        for folder in FOLDERS:
            for path in (self.root / folder).rglob("*.rs"):
                if "/*>" in path.read_text():
                    marked.add(str(path.relative_to(self.root)))
        return marked

    def check(self):
        """Compiles. Returns the numbers of the faults that do not, and errors outside any fault."""
        cargo = ["cargo", "build", "--lib", "--locked", "--message-format=json", "--quiet"]
        run = subprocess.run(cargo, cwd=self.root, env=self.env, capture_output=True, text=True)
        bad, outside = set(), []
        if run.returncode == 0:
            return bad, outside
        for line in run.stdout.splitlines():
            message = json.loads(line).get("message") if line.startswith("{") else None
            if not message or message.get("level") != "error":
                continue
            hit = set()
            for span in message["spans"]:
                if not span["is_primary"]:
                    continue
                lines = owners((self.root / span["file_name"]).read_text())
                line = span["line_start"]
                if lines[line] == 0:
                    # The body as it is does not fit beside one with a fault: the last one above.
                    line = max((n for n in range(line) if lines[n]), default=0)
                hit.add(lines[line])
            if hit - {0}:
                bad |= hit - {0}
            elif message["spans"]:
                outside.append(message["rendered"])
        return bad, outside or ([run.stderr] if not bad else [])

    def build(self):
        """Builds the tests. Returns the unit test and the integration test programs."""
        cargo = ["cargo", "test", "--no-run", "--locked", "--message-format=json", "--quiet"]
        cargo += ["--lib", "--test", "it"]
        run = subprocess.run(cargo, cwd=self.root, env=self.env, stdout=subprocess.PIPE, text=True)
        if run.returncode:
            sys.exit(2)
        programs = {}
        for line in run.stdout.splitlines():
            row = json.loads(line) if line.startswith("{") else {}
            if row.get("executable") and row.get("profile", {}).get("test"):
                programs[row["target"]["name"]] = row["executable"]
        return programs["hf_cli"], programs["it"]


def write(path, text):
    """Writes only what changes, so that cargo builds only what has changed."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def run_tests(program, arguments, tree, number, limit, threads):
    """Runs tests with one fault on until one fails. Returns what failed, or None, and the seconds it
    took. Without a fault (0) they run to their end, and all that failed is returned.
    """
    env = dict(tree.env, RUST_TEST_THREADS=str(threads), HF_MUTANT=str(number))
    command = ["env", "--default-signal=INT,QUIT", program, *arguments]
    start = time.monotonic()
    child = subprocess.Popen(command, cwd=tree.root, env=env, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True, start_new_session=True)

    def stop():
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    timer = threading.Timer(limit, stop)
    timer.start()
    failed, ended = None, False
    for line in child.stdout:
        match = re.search(r"test (\S+)(?: - should panic)? \.\.\. .*FAILED", line)
        if match:
            failed = [*(failed or []), match.group(1)]
            if number:
                break
        ended = ended or line.startswith("test result")
    timer.cancel()
    took = time.monotonic() - start
    if failed is None and not ended:
        failed = ["time limit" if took >= limit - 1 else "the tests crashed"]
    stop()
    child.stdout.close()
    child.wait()
    return failed, took


def in_tests(fault):
    """Whether it is in a module of tests, which cargo-mutants overlooks under cfg(all(test, unix))."""
    lines = (ROOT / fault.file).read_text().split("\n")[: fault.span["start"]["line"]]
    return any(re.match(r"#\[cfg\(all\(test\b", line) for line in lines)


def listed(arguments):
    """All faults that cargo-mutants sees, without those accepted."""
    command = ["cargo", "mutants", "--list", "--json"]
    for folder in FOLDERS:
        command += ["-f", f"{folder}/**/*.rs"]
    rows = json.loads(subprocess.check_output(command, cwd=ROOT))
    accepted = set()
    for line in (pathlib.Path(__file__).parent / "accepted.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            accepted.add(line.split(" | ")[0].strip())
    faults = [Fault(row) for row in rows if row.get("function")]
    faults = [f for f in faults if f.folder and f.key() not in accepted and not in_tests(f)]
    if arguments.folder:
        faults = [f for f in faults if f.folder == arguments.folder]
    if arguments.only:
        faults = [f for f in faults if arguments.only in f.name]
    return faults


def spread(faults, arguments):
    """The faults in the order in which they are taken: shuffled, folders in turn, changed files first."""
    changed = set()
    if arguments.changed:
        diff = ["git", "diff", "--name-only", arguments.changed, "--", "src"]
        changed = set(subprocess.check_output(diff, cwd=ROOT, text=True).split())
    draw = random.Random(arguments.seed)
    queues = {}
    for folder in FOLDERS:
        queue = sorted((f for f in faults if f.folder == folder), key=lambda f: f.name)
        draw.shuffle(queue)
        queues[folder] = sorted(queue, key=lambda f: f.file not in changed)
    order = []
    while any(queues.values()):
        for queue in queues.values():
            if queue:
                order.append(queue.pop(0))
    return order


def viable(tree, order, count):
    """The first `count` faults that compile, planted in the tree."""
    chosen, rest, number = [], list(order), 0
    while True:
        while len(chosen) < count and rest:
            number += 1
            rest[0].number = number
            chosen.append(rest.pop(0))
        bad = {fault.number for fault in tree.plant(chosen)}
        if not bad:
            bad, outside = tree.check()
            if outside:
                sys.stderr.write("\n".join(outside[:3]))
                sys.exit(2)
        if not bad:
            return chosen
        for fault in chosen:
            if fault.number in bad:
                print(f"does not compile: {fault.name}", flush=True)
        chosen = [fault for fault in chosen if fault.number not in bad]


def stages(fault):
    """Which tests run for a fault, in order: (program, arguments)."""
    module = fault.file.removeprefix("src/").removesuffix(".rs").removesuffix("/mod").split("/")[0]
    return [(0, [f"{module}::"]), (1, ROOMS[fault.folder])]


def build(tree, arguments):
    """Chooses and compiles the faults; notes them beside the tree."""
    tree.lay()
    faults = listed(arguments)
    count = len(faults) if arguments.only else arguments.count
    chosen = viable(tree, spread(faults, arguments), count)
    unit, integration = tree.build()
    rows = [dict(fault.row, number=fault.number) for fault in chosen]
    built = {"seed": arguments.seed, "programs": [unit, integration], "faults": rows}
    (tree.place / "built.json").write_text(json.dumps(built, indent=1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--folder", choices=FOLDERS)
    parser.add_argument("--only", help="faults whose name contains this text, all of them")
    parser.add_argument("--changed", help="files changed since this commit come first")
    parser.add_argument("--room-only", action="store_true", help="only the tests of a fault's room")
    parser.add_argument("--jobs", type=int, default=1, help="faults at a time")
    parser.add_argument("--threads", type=int, default=8, help="tests at a time in each job")
    parser.add_argument("--floor", type=float, default=85)
    parser.add_argument("--place", type=pathlib.Path, default=ROOT / "target/mutants")
    parser.add_argument("--build-only", action="store_true")
    parser.add_argument("--built", action="store_true", help="run what --build-only has built")
    parser.add_argument("--skip-failing", action="store_true",
                        help="go on without the tests that fail without a fault, and say so")
    arguments = parser.parse_args()
    # A program that is absent is no fault noticed.
    os.environ.pop("CI", None)

    tree = Tree(arguments.place)
    if not arguments.built:
        build(tree, arguments)
    if arguments.build_only:
        return
    built = json.loads((tree.place / "built.json").read_text())
    chosen = [Fault(row) for row in built["faults"]]
    for fault, row in zip(chosen, built["faults"]):
        fault.number = row["number"]
    limits, skipped = {}, set()

    def run(stage, number, limit):
        tests = [*stage[1], *(word for name in sorted(skipped) for word in ("--skip", name))]
        return run_tests(built["programs"][stage[0]], tests, tree, number, limit, arguments.threads)

    def all_stages(fault):
        return stages(fault) + ([] if arguments.room_only else [(0, []), (1, [])])

    # What these tests take without a fault, which also shows that they pass.
    plain = {(stage[0], *stage[1]): stage for fault in chosen for stage in all_stages(fault)}
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for key, (failed, took) in zip(plain, pool.map(lambda s: run(s, 0, 1800), plain.values())):
            print(f"without a fault: {' '.join(key[1:]) or 'all'} {took:.0f} s", flush=True)
            if failed:
                print(f"fails without a fault: {' '.join(failed)}", flush=True)
                if not arguments.skip_failing:
                    sys.exit(2)
                skipped.update(failed)
            limits[key] = 4 * took + 30

    def judge(fault):
        begin, noticed = time.monotonic(), None
        for stage in all_stages(fault):
            noticed, _ = run(stage, fault.number, limits[(stage[0], *stage[1])])
            if noticed:
                break
        took = time.monotonic() - begin
        print(f"{took:5.0f} s  {fault.name}: {' '.join(noticed or ['NOT NOTICED'])}", flush=True)
        return noticed

    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        verdicts = list(pool.map(judge, chosen))
    survivors = [fault for fault, noticed in zip(chosen, verdicts) if not noticed]
    caught = len(chosen) - len(survivors)
    share = 100 * caught / max(1, len(chosen))
    print(f"\nseed {built['seed']}: {caught} of {len(chosen)} noticed ({share:.0f} %)")
    for fault in survivors:
        print(f"not noticed: {fault.key()}")
    sys.exit(0 if chosen and share >= arguments.floor else 1)


if __name__ == "__main__":
    main()
