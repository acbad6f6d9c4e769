"""Commands of the command line, each in a process of its own that has imported `graph` already.

Importing takes a command longer than what it does. So one process for each worker imports all of
it, and forks for each command. `graph serve`, and what the tests of the package and of the pages of
documentation run, begin from nothing, as they do for users.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile, mkdtemp
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECONDS = 120
_MODULES = ("cli", "app", "doctor", "development", "database.migrate", "store.seed")


def run(
    arguments: Sequence[str], environment: dict[str, str], folder: Path = Path("/")
) -> subprocess.CompletedProcess[str]:
    """`python -m graph` with these arguments. It is killed after two minutes."""
    with (
        Path(os.devnull).open("rb") as nothing,
        TemporaryFile() as output,
        TemporaryFile() as complaints,
        socket.socket(socket.AF_UNIX) as keeper,
    ):
        keeper.connect(_address())
        files = [file.fileno() for file in (nothing, output, complaints)]
        socket.send_fds(keeper, [b"files"], files)
        keeper.sendall(json.dumps([list(arguments), environment, str(folder)]).encode())
        keeper.shutdown(socket.SHUT_WR)
        code = int(keeper.recv(100))
        texts = []
        for file in (output, complaints):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess(list(arguments), code, *texts)


@cache
def _address() -> str:
    """Where the process that forks is listening. It ends with this one."""
    address = str(Path(mkdtemp()) / "forks")
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    atexit.register(process.communicate)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    return address


# The process that forks


def _serve(address: str) -> None:
    """Fork a keeper for each connection, until stdin ends."""
    for module in _MODULES:
        import_module(f"graph.{module}")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    listener.close()
                    _keep(connection)
            _reap()


def _reap() -> None:
    """Take note of the keepers that have ended."""
    with suppress(ChildProcessError):
        while any(os.waitpid(-1, os.WNOHANG)):
            pass


def _keep(connection: socket.socket) -> None:
    """Fork a command, and send its exit code when it has ended."""
    _, files, _, _ = socket.recv_fds(connection, len(b"files"), 3)
    request = b""
    while piece := connection.recv(65536):
        request += piece
    command = os.fork()
    if command == 0:
        connection.close()
        arguments, environment, folder = json.loads(request)
        os.chdir(folder)
        _become(arguments, environment, files)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(command, signal.SIGKILL))
    signal.alarm(_SECONDS)
    _, status = os.waitpid(command, 0)
    connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(arguments: list[str], environment: dict[str, str], files: list[int]) -> None:
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["graph", *arguments]
    runpy.run_module("graph", run_name="__main__", alter_sys=True)
    sys.exit()


if __name__ == "__main__":
    _serve(sys.argv[1])
