"""Serve S3 with OpenStack Swift on one machine: `/usr/bin/python3 -m tests.support.serve_swift FOLDER PORT`.

Run by Debian's Python, which has Swift (package python3-swift) and none of our packages. All four parts of Swift are in
this process, on free ports; PORT is the one that speaks S3. FOLDER keeps what is stored. It accepts
the credentials AWS_ACCESS_KEY_ID, which is ACCOUNT:USER, and AWS_SECRET_ACCESS_KEY of the environment.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import eventlet
import eventlet.wsgi

eventlet.monkey_patch()

from swift.common import utils, wsgi  # noqa: E402  # after the patch, as Swift's own programs do
from swift.common.ring import RingBuilder  # noqa: E402

DISK = "disk"
PARTS = ("account", "container", "object")

HASHES = """
[swift-hash]
swift_hash_path_prefix = tests
[storage-policy:0]
name = one
default = yes
"""
PART = """
[DEFAULT]
swift_dir = {folder}
devices = {folder}
mount_check = false
[pipeline:main]
pipeline = {part}-server
[app:{part}-server]
use = egg:swift#{part}
"""
# No memcached: what would be in it is looked up each time. A listing has 20 keys, not 1000, so that few make two.
PROXY = """
[DEFAULT]
swift_dir = {folder}
[pipeline:main]
pipeline = catch_errors proxy-logging cache s3api tempauth slo dlo proxy-logging proxy-server
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:s3api]
use = egg:swift#s3api
location = {region}
max_bucket_listing = 20
[filter:tempauth]
use = egg:swift#tempauth
user_{user} = {secret} .admin
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
"""


def make_ring(folder: Path, part: str, port: int) -> None:
    """Tell the proxy that everything of this part is on one disk, once."""
    builder = RingBuilder(part_power=4, replicas=1, min_part_hours=0)
    place = {"ip": "127.0.0.1", "port": port, "replication_ip": "127.0.0.1", "replication_port": port}
    builder.add_dev({**place, "id": 0, "region": 1, "zone": 1, "device": DISK, "weight": 1.0, "meta": ""})
    builder.rebalance()
    builder.get_ring().save(str(folder / f"{part}.ring.gz"))


def serve(folder: Path, part: str, configuration: str, listener: eventlet.greenio.GreenSocket) -> eventlet.GreenThread:
    """Serve one part in the background."""
    path = folder / f"{part}.conf"
    path.write_text(configuration)
    app = wsgi.loadapp(str(path), global_conf={"log_name": part})
    return eventlet.spawn(
        eventlet.wsgi.server,
        listener,
        app,
        protocol=wsgi.SwiftHttpProtocol,
        capitalize_response_headers=False,  # S3's clients look for "ETag"
        log_output=False,
    )


def main() -> None:
    """Serve until SIGTERM."""
    folder, port = Path(sys.argv[1]).resolve(), int(sys.argv[2])
    (folder / DISK).mkdir(exist_ok=True)
    utils.SWIFT_CONF_FILE = str(folder / "swift.conf")
    Path(utils.SWIFT_CONF_FILE).write_text(HASHES)
    utils.validate_hash_conf()
    for part in PARTS:
        listener = eventlet.listen(("127.0.0.1", 0))
        make_ring(folder, part, listener.getsockname()[1])
        serve(folder, part, PART.format(folder=folder, part=part), listener)
    proxy = PROXY.format(
        folder=folder,
        region=os.environ["AWS_DEFAULT_REGION"],
        user=os.environ["AWS_ACCESS_KEY_ID"].replace(":", "_"),
        secret=os.environ["AWS_SECRET_ACCESS_KEY"],
    )
    serve(folder, "proxy", proxy, eventlet.listen(("127.0.0.1", port))).wait()


if __name__ == "__main__":
    main()
