# SPDX-License-Identifier: Apache-2.0
"""Debian's MariaDB as a process of the test's own: its files in a directory that goes away, a unix
socket, no port, no password."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import time


class MariaDb:
    BINARY = next((path for path in ("/usr/sbin/mariadbd", shutil.which("mariadbd") or "")
                   if os.path.exists(path)), None)

    def __init__(self, *databases):
        self.directory = tempfile.TemporaryDirectory(prefix="weir-db-")
        path = pathlib.Path(self.directory.name)
        os.chmod(path, 0o755)
        self.socket = path / "db.sock"
        self.log = path / "db.log"
        data = path / "data"
        user = ["--user=root"] if os.geteuid() == 0 else []
        made = subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={data}",
                               "--auth-root-authentication-method=normal", "--skip-test-db", *user],
                              capture_output=True, text=True, timeout=60)
        assert made.returncode == 0, made.stdout + made.stderr
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [self.BINARY, "--no-defaults", f"--datadir={data}", f"--socket={self.socket}",
                 "--skip-networking", "--innodb-flush-method=nosync",
                 "--innodb-flush-log-at-trx-commit=0", f"--pid-file={path}/db.pid", *user],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for _ in range(600):
            if self.ask("SELECT 1").returncode == 0:
                break
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        else:
            raise AssertionError("mariadbd does not answer:\n" + self.log.read_text())
        for name in databases:
            made = self.ask(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
            assert made.returncode == 0, made.stderr

    def ask(self, statement):
        return subprocess.run(["mariadb", "--no-defaults", f"--socket={self.socket}", "-uroot", "-N",
                               "-e", statement], capture_output=True, text=True, timeout=90)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.directory.cleanup()
