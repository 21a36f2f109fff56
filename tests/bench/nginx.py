"""Debian's nginx with its module nchan as a peer: unpacked, not installed, so that no service of it is
started; run as our own process with a configuration of ours."""
import glob
import os
import subprocess
import time

import brokers

FOLDER = os.path.join(brokers.ROOT, "build", "nginx")
PROGRAM = os.path.join(FOLDER, "usr", "sbin", "nginx")
MODULE = os.path.join(FOLDER, "usr", "lib", "nginx", "modules", "ngx_nchan_module.so")
PACKAGES = ("nginx", "libnginx-mod-nchan")
HELPER_SECONDS_MAX = 10

CONFIG = """\
daemon off;
worker_processes 1;
error_log stderr warn;
pid {folder}/pid;
load_module {module};
events {{ worker_connections 20000; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  nchan_shared_memory_size 256m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=8192;
    location = /publish {{ nchan_publisher; nchan_channel_id bench; }}
    location = /events {{
      nchan_subscriber eventsource;
      nchan_channel_id bench;
      nchan_subscriber_first_message newest;
    }}
    location = /empty {{ return 304; }}
  }}
}}
"""


def fetch():
    """Unpacks nginx into the build folder unless it is there. Errors: BenchError."""
    if os.access(PROGRAM, os.X_OK) and os.path.isfile(MODULE):
        return
    os.makedirs(FOLDER, exist_ok=True)
    fetched = subprocess.run(["apt-get", "download", *PACKAGES], cwd=FOLDER, capture_output=True,
                             text=True, check=False)
    if fetched.returncode != 0:
        raise brokers.BenchError(f"apt-get download {' '.join(PACKAGES)}: "
                                 f"{fetched.stderr.strip()[-300:]}; is apt-get update needed?")
    for package in glob.glob(os.path.join(FOLDER, "*.deb")):
        subprocess.run(["dpkg", "-x", package, FOLDER], check=True)


class Nginx:
    """nginx with nchan."""
    name = "nchan"

    def command(self, folder, port):
        config = os.path.join(folder, "nginx.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(folder=folder, module=MODULE, port=port))
        return [PROGRAM, "-p", folder, "-e", "stderr", "-c", config]

    def version(self):
        shown = subprocess.run([PROGRAM, "-v"], capture_output=True, text=True, check=False)
        return shown.stderr.strip().rpartition(": ")[2] + " with nchan"


def worker_of(pid):
    """The process that does the work."""
    deadline = time.monotonic() + HELPER_SECONDS_MAX
    while time.monotonic() < deadline:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = file.read().split()
        if children:
            return int(children[0])
        time.sleep(0.02)
    raise brokers.BenchError("nginx has no worker process")
