"""Becomes a Python client, again and again, without a new interpreter for each.

Most of the time that a client takes to start goes into importing its packages. They are imported
once, here. Each request forks; the child takes on the environment, folder and streams of the request and only
then imports huggingface_hub, which reads its variables when it is imported.

Requests come by stdin, a JSON object a line; the end of it is the end of this process. Answers go to stdout:
"pid <id> <pid>" when the child exists, "end <id> <wait status>" when it has ended.
"""

import gc
import importlib
import json
import os
import select
import signal
import sys
import time
import types

# Read variables or files of a user, or start threads, when they are imported.
NOT_HERE = ("huggingface_hub", "hf_xet", "fsspec", "__main__")


def names_of_packages():
    """What the client imports, found out in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        for name in (
            "cli.hf",
            "commands.huggingface_cli",
            "hf_api",
            "file_download",
            "_snapshot_download",
            "_oauth_device",
            "utils._cache_manager",
        ):
            try:
                importlib.import_module("huggingface_hub." + name)
            except ImportError:
                pass
        for name in ("yaml", "ssl", "httpx2", "requests", "concurrent.futures.thread", "tqdm.auto"):
            try:
                importlib.import_module(name)
            except ImportError:
                pass
        os.write(writer, "\n".join(sys.modules).encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as lines:
        names = lines.read().split("\n")
    os.waitpid(child, 0)
    return [name for name in names if name.split(".")[0] not in NOT_HERE]


def import_all():
    for name in names_of_packages():
        try:
            importlib.import_module(name)
        except ImportError:
            # A name that a package made up for itself.
            pass
    threads = os.listdir("/proc/self/task")
    assert len(threads) == 1, "a fork would lose threads"
    gc.collect()
    gc.freeze()


def become(request):
    """Takes on what a process of its own would be started with."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        flags = os.O_WRONLY | os.O_APPEND if number else os.O_RDONLY
        opened = os.open(request[name], flags)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    os.chdir(request["folder"])


def serve():
    """Answers requests. Returns in each child, with its request."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    children, pending = {}, b""
    os.write(1, b"ready\n")
    while True:
        readable, _, _ = select.select([0, reader], [], [])
        if reader in readable:
            os.read(reader, 4096)
            while children:
                child, status = os.waitpid(-1, os.WNOHANG)
                if child == 0:
                    break
                os.write(1, b"end %d %d\n" % (children.pop(child), status))
        if 0 not in readable:
            continue
        more = os.read(0, 1 << 16)
        if not more:
            os._exit(0)
        *lines, pending = (pending + more).split(b"\n")
        for line in lines:
            request = json.loads(line)
            child = os.fork()
            if child == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.close(reader)
                os.close(writer)
                become(request)
                return request
            children[child] = request["id"]
            os.write(1, b"pid %d %d\n" % (request["id"], child))


def program(request):
    """The code to run, in a module __main__ as it would be in a process of its own."""
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    script, arguments = request["program"], request["args"]
    if arguments[:1] == ["-c"]:
        sys.argv, sys.path[0], code = ["-c"] + arguments[2:], "", arguments[1]
        return compile(code, "<string>", "exec"), main.__dict__
    sys.argv, sys.path[0] = [script] + arguments, os.path.dirname(script)
    main.__file__ = script
    with open(script) as source:
        return compile(source.read(), script, "exec"), main.__dict__


def show_error(kind, error, trace):
    """As Python does, without the frame of this file."""
    trace = trace and trace.tb_next
    sys.__excepthook__(kind, error.with_traceback(trace), trace)


os.setsid()
import_all()
sys.excepthook = show_error
# At the top level, so that the interpreter ends as it does after a script: exit codes, tracebacks, threads.
exec(*program(serve()))
