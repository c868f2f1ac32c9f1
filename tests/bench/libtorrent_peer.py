"""libtorrent as a program that the benchmark runs beside xbt, over plain TCP; over uTP with OVER=utp. It listens on loopback, or at LISTEN.

`seed PATH FOLDER PIECE LIMIT` hashes PATH, writes `FOLDER/content.torrent` and serves it; LIMIT is the most bytes per second that it
sends, 0: no limit. `get TORRENT FOLDER` waits for a line with the addresses of its peers, and fetches from them. Both keep serving,
print JSON, one object a line, and end when stdin does: `{"prepared": SECONDS}` (seed), `{"port": NUMBER}`, `{"done": SECONDS}` (get,
from the line until all is there). `version` prints libtorrent's.
"""
import json
import os
import sys
import time

import libtorrent

# Not named in this version of the bindings.
V1_ONLY = 64

UTP = os.environ.get("OVER") == "utp"


def say(**what):
    print(json.dumps(what), flush=True)


def session(limit):
    peers = libtorrent.session({
        "listen_interfaces": os.environ.get("LISTEN", "127.0.0.1") + ":0",
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_incoming_tcp": not UTP,
        "enable_outgoing_tcp": not UTP,
        "enable_incoming_utp": UTP,
        "enable_outgoing_utp": UTP,
        "allow_multiple_connections_per_ip": True,
        "out_enc_policy": libtorrent.enc_policy.disabled,
        "in_enc_policy": libtorrent.enc_policy.disabled,
        "upload_rate_limit": limit,
        "alert_mask": libtorrent.alert.category_t.status_notification | libtorrent.alert.category_t.error_notification,
    })
    # Peers on the local network are in a class without limits; here all are in the first one, which is the limited one.
    everybody = libtorrent.ip_filter()
    everybody.add_rule("0.0.0.0", "255.255.255.255", 1)
    peers.set_peer_class_filter(everybody)
    while peers.listen_port() == 0:
        time.sleep(0.005)
    return peers


def add(peers, torrent, folder, complete):
    parameters = libtorrent.add_torrent_params()
    parameters.ti = libtorrent.torrent_info(torrent)
    parameters.save_path = folder
    parameters.flags &= ~libtorrent.torrent_flags.paused
    parameters.flags &= ~libtorrent.torrent_flags.auto_managed
    if complete:
        parameters.flags |= libtorrent.torrent_flags.seed_mode
    return peers.add_torrent(parameters)


def wait_for(peers, wanted):
    while True:
        if not peers.wait_for_alert(1000):
            continue
        for alert in peers.pop_alerts():
            if isinstance(alert, wanted):
                return
            if "error" in alert.what():
                sys.exit(f"{alert.what()}: {alert.message()}")


def seed(path, folder, piece, limit):
    begun = time.monotonic()
    files = libtorrent.file_storage()
    libtorrent.add_files(files, path)
    made = libtorrent.create_torrent(files, int(piece), V1_ONLY)
    libtorrent.set_piece_hashes(made, os.path.dirname(path))
    say(prepared=time.monotonic() - begun)
    torrent = os.path.join(folder, "content.torrent")
    with open(torrent, "wb") as out:
        out.write(libtorrent.bencode(made.generate()))
    peers = session(int(limit))
    handle = add(peers, torrent, os.path.dirname(path), True)
    while not handle.status().is_seeding:
        time.sleep(0.005)
    say(port=peers.listen_port())
    return peers


def get(torrent, folder):
    peers = session(0)
    handle = add(peers, torrent, folder, False)
    # Files that are not there are looked for first.
    while handle.status().state in (libtorrent.torrent_status.checking_files, libtorrent.torrent_status.checking_resume_data):
        time.sleep(0.005)
    say(port=peers.listen_port())
    addresses = sys.stdin.readline().split()
    begun = time.monotonic()
    for address in addresses:
        host, port = address.rsplit(":", 1)
        handle.connect_peer((host, int(port)))
    wait_for(peers, libtorrent.torrent_finished_alert)
    say(done=time.monotonic() - begun)
    return peers


if sys.argv[1] == "version":
    print(libtorrent.__version__)
else:
    kept = {"seed": seed, "get": get}[sys.argv[1]](*sys.argv[2:])
    sys.stdin.read()
    os._exit(0)
