"""libtorrent as a peer: get MAGNET FOLDER, or seed TORRENT FOLDER, or make PATH PIECE_LENGTH TORRENT.

get and seed print the port they listen on and run until they are killed; get prints "done" when all is there.
"""
import sys
import time

import libtorrent


# Not named in this version of the bindings.
V1_ONLY = 64


def session():
    return libtorrent.session({
        "listen_interfaces": "127.0.0.1:0",
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_incoming_utp": False,
        "enable_outgoing_utp": False,
        "allow_multiple_connections_per_ip": True,
        "out_enc_policy": libtorrent.enc_policy.disabled,
        "in_enc_policy": libtorrent.enc_policy.disabled,
    })


def make(path, piece_length, torrent):
    files = libtorrent.file_storage()
    libtorrent.add_files(files, path)
    made = libtorrent.create_torrent(files, int(piece_length), V1_ONLY)
    parent = path.rstrip("/").rsplit("/", 1)[0]
    libtorrent.set_piece_hashes(made, parent)
    with open(torrent, "wb") as out:
        out.write(libtorrent.bencode(made.generate()))


def run(mode, what, folder, peer=None):
    peers = session()
    if mode == "seed":
        parameters = libtorrent.add_torrent_params()
        parameters.ti = libtorrent.torrent_info(what)
        parameters.flags |= libtorrent.torrent_flags.seed_mode
    else:
        parameters = libtorrent.parse_magnet_uri(what)
    parameters.save_path = folder
    parameters.flags &= ~libtorrent.torrent_flags.paused
    parameters.flags &= ~libtorrent.torrent_flags.auto_managed
    torrent = peers.add_torrent(parameters)
    while peers.listen_port() == 0:
        time.sleep(0.02)
    print(peers.listen_port(), flush=True)
    if peer:
        torrent.connect_peer(("127.0.0.1", int(peer)))
    told = False
    while True:
        if mode == "get" and not told and torrent.status().is_seeding:
            print("done", flush=True)
            told = True
        time.sleep(0.05)


if sys.argv[1] == "make":
    make(*sys.argv[2:])
else:
    run(*sys.argv[1:])
