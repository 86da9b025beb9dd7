"""Runs a whole Swift: makes the rings, then the account, container and object servers and the proxy, a process each.

    swift_bed.py DIRECTORY ACCOUNT_PORT CONTAINER_PORT OBJECT_PORT

DIRECTORY holds swift.conf and a KIND-server.conf for each. Swift's own commands read the system's swift.conf, whatever
swift_dir says. When one of the processes ends, so does this one; whoever started it ends the group.
"""

import os
import sys
import urllib.error
import urllib.request
import time

directory, ports = sys.argv[1], [int(port) for port in sys.argv[2:5]]

try:
    probe = os.path.join(directory, "devices", "d1", ".xattr")
    open(probe, "w").close()
    os.setxattr(probe, "user.swift.metadata", b"x" * 254)
    os.unlink(probe)
except OSError as error:
    sys.exit("the file system of %s keeps no extended attributes, which Swift needs: %s" % (directory, error))

from swift.common import utils  # noqa: E402

utils.SWIFT_CONF_FILE = os.path.join(directory, "swift.conf")

from swift.common.ring import RingBuilder  # noqa: E402
from swift.common.wsgi import run_wsgi  # noqa: E402


def ring(name, port):
    builder = RingBuilder(4, 1, 1)
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "replication_ip": "127.0.0.1",
                     "replication_port": port, "device": "d1", "weight": 1.0, "meta": ""})
    builder.rebalance()
    builder.get_ring().save(os.path.join(directory, name + ".ring.gz"))


def serve(kind):
    if os.fork():
        return
    # Swift would leave the group that is ended with us
    os.setsid = lambda: None
    options = {"verbose": True}
    if kind == "object":
        from swift.obj import server
        options["global_conf_callback"] = server.global_conf_callback
    os._exit(run_wsgi(os.path.join(directory, kind + "-server.conf"), kind + "-server", **options) or 0)


def answers(port):
    try:
        urllib.request.urlopen("http://127.0.0.1:%d/healthcheck" % port, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


kinds = ("account", "container", "object")
for kind, port in zip(kinds, ports):
    ring(kind, port)
for kind in kinds:
    serve(kind)
# the proxy is the last one: when it answers, all do
limit = time.monotonic() + 30
while not all(answers(port) for port in ports):
    if time.monotonic() > limit:
        sys.exit("Swift's servers did not answer within 30 s")
    time.sleep(0.05)
serve("proxy")
os.wait()
sys.exit("one of Swift's servers has ended")
