# SPDX-License-Identifier: Apache-2.0
"""Starts Debian's PHP-FPM, and nginx beside it for what both make of the same request."""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from weir import free_port

APPS = pathlib.Path(__file__).resolve().parent / "apps" / "fpm"


class Fpm:
    """`address` is its TCP socket, `unix` the other; each is a pool of its own, of `children`
    processes."""

    BINARY = next((path for path in ("/usr/sbin/php-fpm8.2", "/usr/sbin/php-fpm8.4",
                                     "/usr/sbin/php-fpm") if os.path.exists(path)),
                  "/usr/sbin/php-fpm8.2")

    def __init__(self, children=4, backlog=511, **values):
        self.directory = tempfile.TemporaryDirectory(prefix="weir-fpm-")
        self.path = pathlib.Path(self.directory.name)
        os.chmod(self.path, 0o755)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.socket = self.path / "fpm.sock"
        self.unix = f"unix:{self.socket}"
        self.log = self.path / "fpm.log"
        user = "user = nobody\ngroup = nogroup\n" if os.geteuid() == 0 else ""
        values = {"post_max_size": "100M", "upload_max_filesize": "100M", "display_errors": "0",
                  "log_errors": "1", "sys_temp_dir": str(self.path), "output_buffering": "0",
                  "upload_tmp_dir": str(self.path), "date.timezone": "UTC", **values}
        said = "".join(f"php_admin_value[{name}] = {value}\n" for name, value in values.items())
        pools = "".join(
            f"[{name}]\n{user}listen = {listen}\nlisten.mode = 0666\nlisten.backlog = {backlog}\n"
            f"pm = static\npm.max_children = {children}\ncatch_workers_output = no\n"
            f"clear_env = yes\nsecurity.limit_extensions = .php\n{said}"
            for name, listen in (("tcp", self.address), ("unix", self.socket)))
        self.config = self.path / "fpm.conf"
        self.config.write_text(f"[global]\nerror_log = {self.log}\ndaemonize = no\n"
                               f"process_control_timeout = 5s\n{pools}")
        os.chmod(self.path, 0o777)
        self.start()

    def start(self):
        self.process = subprocess.Popen([self.BINARY, "-n", "-F", "-y", str(self.config),
                                         *self.extensions()], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        start_new_session=True)
        for _ in range(3000):
            if self.log.exists() and "ready to handle connections" in self.log.read_text():
                return
            assert self.process.poll() is None, self.log.exists() and self.log.read_text()
            time.sleep(0.02)
        raise AssertionError("php-fpm does not accept:\n" + self.log.read_text())

    @staticmethod
    def extensions():
        """What applications want beside what is built in; -n has left the system's files out."""
        found = []
        for name in ("json", "xml", "ctype", "mbstring", "gd", "dom", "simplexml", "tokenizer",
                     "intl", "iconv", "fileinfo", "exif", "mysqlnd", "mysqli"):
            for directory in pathlib.Path("/usr/lib/php").glob("20*"):
                if (directory / f"{name}.so").exists():
                    found += ["-d", f"extension={name}"]
        return found

    def stop(self):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.log.unlink(missing_ok=True)

    def restart(self):
        self.stop()
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.directory.cleanup()


class Nginx:
    """One server of PHP; with the parameters of its own fastcgi_params."""

    CONFIG = """
daemon off; master_process off; worker_processes 1; pid @dir/pid; error_log @dir/error.log;
@user
events { worker_connections 512; }
http {
    access_log off; client_max_body_size 0; types { text/html html; text/css css; }
    client_body_temp_path @dir/body; fastcgi_temp_path @dir/fastcgi; proxy_temp_path @dir/proxy;
    uwsgi_temp_path @dir/uwsgi; scgi_temp_path @dir/scgi;
    @more
    server {
        listen 127.0.0.1:@port; server_name php.test; root @root; index index.php;
        location / { try_files $uri $uri/ /index.php?$args; }
        location ~ [^/]\\.php(/|$) {
            fastcgi_split_path_info ^(.+?\\.php)(/.*)?$;
            set $path_info $fastcgi_path_info;
            try_files $fastcgi_script_name =404;
            include /etc/nginx/fastcgi_params;
            fastcgi_param PATH_INFO $path_info;
            fastcgi_param SCRIPT_FILENAME $realpath_root$fastcgi_script_name;
            fastcgi_pass @php;
        }
    }
}
"""

    def __init__(self, root, php, more="", port=None):
        self.directory = tempfile.TemporaryDirectory(prefix="weir-nginx-")
        path = pathlib.Path(self.directory.name)
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        text = self.CONFIG
        user = "user root;" if os.geteuid() == 0 else ""
        for name, value in (("dir", path), ("port", self.port), ("root", root), ("php", php),
                            ("more", more), ("user", user)):
            text = text.replace("@" + name, str(value))
        (path / "nginx.conf").write_text(text)
        self.process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c",
                                         str(path / "nginx.conf"), "-e", str(path / "error.log"),
                                         "-p", str(path)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        import socket
        for _ in range(3000):
            assert self.process.poll() is None, (path / "error.log").read_text()
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.directory.cleanup()
