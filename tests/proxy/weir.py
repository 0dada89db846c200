# SPDX-License-Identifier: Apache-2.0
"""Starts the binary that $WEIR_BINARY names (build/asan/weir without it) with a configuration, and
takes every report of a sanitizer or failed check as a failure of the test.

    with Weir(SITE, app=origin) as weir:
        with weir.connect() as client: …

It runs as one process, so that what a test looks at is the one that serves; with supervised=True
there is a supervisor, weir.process, and weir.working() is the PID of the one that serves.

In the text @listen stands for weir's own address and @NAME for that of a keyword argument."""
import collections
import contextlib
import fcntl
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

from client import Client
from patience import until

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = os.environ.get("WEIR_BINARY", str(ROOT / "build" / "asan" / "weir"))
REPORT = re.compile(r"Sanitizer|runtime error:|weir: bug:|weir: crash:|stack smashing|corrupt")
REPORT_OF_OTHERS = re.compile(r"Sanitizer|runtime error:|weir: bug:|stack smashing|corrupt")

SITE = """
site * {
    listen @listen
    proxy @app
}
"""
_ports = random.Random(os.getpid() * 7919 + time.monotonic_ns())
_given = collections.deque()  # the latest ports of this process, each with a lock
_locks = None


def _lock_port(port):
    """Whether no other process that runs tests has that one: a byte of a file for each port."""
    global _locks
    if _locks is None:
        path = pathlib.Path(tempfile.gettempdir()) / f"weir-test-ports.{os.getuid()}"
        _locks = open(path, "a+b")
    try:
        fcntl.lockf(_locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def free_port():
    """One below 10240, where no client's own port can be; nobody listens there now, and no other
    test is given it for as long as one takes."""
    for _ in range(2000):
        port = _ports.randrange(2048, 10240)
        if port in _given or not _lock_port(port):
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                fcntl.lockf(_locks, fcntl.LOCK_UN, 1, port)
                continue
        _given.append(port)
        if len(_given) > 400:
            fcntl.lockf(_locks, fcntl.LOCK_UN, 1, _given.popleft())
        return port
    raise AssertionError("no free port below 10240")


def environment(extra=None, directory=None):
    """With a directory: admin socket and state are in there, and nobody else's."""
    env = dict(os.environ)
    if directory is not None:
        env["WEIR_ADMIN"] = f"unix:{directory}/admin.sock"
        env["XDG_DATA_HOME"] = f"{directory}/data"
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:exitcode=99:detect_stack_use_after_return=0")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    env.setdefault("TSAN_OPTIONS", "halt_on_error=0:exitcode=66:second_deadlock_stack=1")
    env.pop("WEIR_CONFIG", None)
    env.update(extra or {})
    return env


def expand(text, names):
    for name in sorted(names, key=len, reverse=True):
        text = text.replace("@" + name, getattr(names[name], "address", None) or str(names[name]))
    return text


def run(*arguments, config=None, input=None, timeout=90, env=None, cwd=None):
    """One command of weir to its end; -> CompletedProcess with text. The name of a file with
    `config` is put in the place of "@config" among the arguments."""
    with tempfile.TemporaryDirectory(prefix="weir-test-") as directory:
        if config is not None:
            path = os.path.join(directory, "weir.conf")
            pathlib.Path(path).write_text(config)
            arguments = [path if argument == "@config" else argument for argument in arguments]
        result = subprocess.run([BINARY, *arguments], input=input, text=True, timeout=timeout,
                                capture_output=True, env=environment(env, directory),
                                cwd=cwd or directory,
                                stdin=None if input is not None else subprocess.DEVNULL)
    assert not REPORT.search(result.stderr), result.stderr
    return result


class Weir:
    def __init__(self, config=SITE, env=None, arguments=None, wait=True, supervised=False,
                 may_crash=False, launcher=(), pass_fds=(), **names):
        self.report = REPORT_OF_OTHERS if may_crash else REPORT
        self.directory = tempfile.TemporaryDirectory(prefix="weir-test-")
        self.path = pathlib.Path(self.directory.name)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.config = expand(config, {"listen": self, "dir": self.path, **names})
        if not re.search(r"^\s*workers\b", self.config, re.M):
            self.config = "workers 1\n" + self.config
        self.file = self.path / "weir.conf"
        self.file.write_text(self.config)
        if arguments is None:
            arguments = ["run", *([] if supervised else ["--alone"]), "--config", str(self.file)]
        self.arguments = [expand(argument, {"listen": self, **names}) for argument in arguments]
        self.env = env
        self.launcher, self.pass_fds = launcher, pass_fds
        self.condition = threading.Condition()
        self.clients = []
        self._start(wait)

    def _start(self, wait):
        self.lines = []
        self.code = None
        self.process = subprocess.Popen([*self.launcher, BINARY, *self.arguments],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, cwd=self.path,
                                        env=environment(self.env, self.path),
                                        pass_fds=self.pass_fds)
        self.collector = threading.Thread(target=self._collect, daemon=True)
        self.collector.start()
        if wait:
            try:
                self.wait_line("ready: ", 90)
            except AssertionError:
                self.kill()
                raise

    def restart(self):
        """Ends it and starts it again, on the same files."""
        code = self.stop()
        assert code == 0, f"weir ended with {code}:\n{self.output}"
        assert not REPORT.search(self.output), self.output
        self._start(True)

    def _collect(self):
        for line in self.process.stdout:
            with self.condition:
                self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self.condition.notify_all()
        with self.condition:
            self.lines.append(None)
            self.condition.notify_all()

    @property
    def output(self):
        return "\n".join(line for line in self.lines if line is not None)

    def wait_line(self, text, timeout=60.0, after=0):
        """The first line of its messages, from that number on, in which `text` stands."""
        def found():
            return [line for line in self.lines[after:] if line is None or text in line]
        with self.condition:
            self.condition.wait_for(found, timeout)
        lines = [line for line in found() if line is not None]
        assert lines, f"no line with {text!r}; weir said:\n{self.output}\nfor:\n{self.config}"
        return lines[0]

    def connect(self, **options):
        client = Client(("127.0.0.1", self.port), **options)
        self.clients.append(client)
        return client

    def ask(self, target="/", method="GET", **rest):
        """One request on a connection of its own."""
        with self.connect() as client:
            return client.ask(target, method, **rest)

    def write(self, text):
        """Another configuration in the place of the one in its file, which is never half there."""
        new = self.file.with_suffix(".new")
        new.write_text(text)
        os.replace(new, self.file)

    def log(self, count=1, name="access.log", timeout=60.0):
        """Lines of a log in its directory, once there are `count`."""
        path = self.path / name
        def lines():
            text = path.read_text() if path.exists() else ""
            return text[:text.rfind("\n") + 1].splitlines()  # the whole ones
        until(lambda: len(lines()) >= count,
              lambda: f"{len(lines())} of {count} log lines: {lines()[-3:]}", timeout)
        return lines()

    def logged(self, *texts, name="access.log", timeout=60.0):
        """The first line of a log in which all of these stand, once it is there."""
        return until(lambda: next((line for line in self.log(0, name)
                                   if all(text in line for text in texts)), None),
                     lambda: f"no line with {texts} among {self.log(0, name)[-20:]}", timeout)

    def api(self, method, path, body=None, fields=(), kind="application/json", address=None,
            host="localhost"):
        """One request to its admin API; -> the response, with `json` where there is some."""
        if body is not None:
            body = body if isinstance(body, (bytes, str)) else json.dumps(body)
            body = body.encode() if isinstance(body, str) else body
            fields = [("Content-Type", kind), *fields] if kind else list(fields)
        with Client(address or str(self.path / "admin.sock"), timeout=60) as client:
            try:
                client.request(path, method, fields=fields, body=body, host=host)
            except (BrokenPipeError, ConnectionResetError):
                pass  # a body that is not wanted: the answer is there already
            response = client.response(method)
        is_json = "json" in (response.get("content-type") or "") and response.body
        response.json = json.loads(response.body) if is_json else None
        return response

    def command(self, *arguments, env=None, input=None, timeout=90):
        """A command of weir that asks this one; -> CompletedProcess with text."""
        result = subprocess.run([BINARY, *arguments], input=input, text=True, timeout=timeout,
                                capture_output=True, env=environment(env, self.path),
                                cwd=self.path,
                                stdin=None if input is not None else subprocess.DEVNULL)
        assert not REPORT.search(result.stderr), result.stderr
        return result

    def figure(self, name, **labels):
        """The sum of the samples of one metric that have these labels."""
        text = self.api("GET", "/metrics").body.decode()
        found = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.M)
        return sum(float(value) for has, value in found
                   if all(f'{label}="{wanted}"' in has for label, wanted in labels.items()))

    def wait_figure(self, name, wanted, **labels):
        """Until that figure is `wanted`: what has happened inside has happened then."""
        until(lambda: self.figure(name, **labels) == wanted,
              lambda: f"{name} is {self.figure(name, **labels)}, not {wanted}")

    def children(self):
        """PIDs of the processes that it has started, the latest last."""
        pid = self.process.pid
        try:
            return [int(word) for word in
                    pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except OSError:
            return []

    def working(self):
        """PID of the process that serves."""
        children = self.children()
        return children[-1] if children else self.process.pid

    def memory(self):
        """Resident bytes of the process that serves."""
        text = pathlib.Path(f"/proc/{self.working()}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) * 1024

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process.poll() is None:
            children = self.children()
            self.process.kill()
            for pid in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.collector.join(5)

    def wait(self, timeout=90.0):
        """Its exit code, once it has ended by itself or by a signal."""
        try:
            self.code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"weir did not end in {timeout} s:\n{self.output}") from None
        self.collector.join(10)
        return self.code

    def stop(self, timeout=90.0):
        for client in self.clients:
            client.close()
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is not None:
                self.kill()
                print(f"weir said:\n{self.output}\nfor:\n{self.config}")
            elif self.code is None:
                code = self.stop()
                assert code == 0, f"weir ended with {code}:\n{self.output}"
            assert not self.report.search(self.output), self.output
        finally:
            self.directory.cleanup()
