"""What XMPP itself has for files, between two slixmpp clients and a private Prosody: the comparison of `make bench ONLY=xmpp`.

`run FOLDER ROUNDS` starts a Prosody in FOLDER and prints JSON, one object a line:
`{"way": "in-band" | "proxy65" | "http", "limits": "stock" | "raised", "size": BYTES, "seconds": [...]}`.
Sender and receiver are two programs (`send` and `receive` of this file). A round is from the word to send until the receiver has written and
checked the last byte; logins do not count. In-band: XEP-0047 with blocks of 4096 bytes, 16 of them under way. HTTP: upload (XEP-0363), the URL in
a message, download.
"""
import asyncio
import hashlib
import json
import os
import socket
import ssl
import subprocess
import sys
import time

import aiohttp
import slixmpp

MIB = 1 << 20
BLOCK = 4096
OUTSTANDING = 16
# Debian's Prosody as it is installed.
STOCK = 'limits = { c2s = { rate = "10kb/s" }; s2sin = { rate = "30kb/s" } }'
CONFIG = """
run_as_root = true
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {c2s} }}
s2s_ports = {{ }}
proxy65_ports = {{ {proxy} }}
proxy65_interfaces = {{ "127.0.0.1" }}
http_ports = {{ }}
https_ports = {{ {https} }}
https_interfaces = {{ "127.0.0.1" }}
http_host = "127.0.0.1"
https_ssl = {{ certificate = "{folder}/cert.pem"; key = "{folder}/key.pem" }}
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "presence", "message", "iq", "smacks"{limits_module} }}
modules_disabled = {{ "s2s" }}
authentication = "internal_plain"
storage = "internal"
{limits}
log = {{ info = "{folder}/prosody.log" }}
VirtualHost "localhost"
  ssl = {{ certificate = "{folder}/cert.pem"; key = "{folder}/key.pem" }}
  disco_items = {{ {{ "proxy.localhost" }}, {{ "upload.localhost" }} }}
Component "proxy.localhost" "proxy65"
  proxy65_address = "127.0.0.1"
  proxy65_acl = {{ "localhost" }}
Component "upload.localhost" "http_file_share"
  http_external_url = "https://127.0.0.1:{https}/"
  http_file_share_size_limit = 1024 * 1024 * 1024
  http_file_share_daily_quota = 100 * 1024 * 1024 * 1024
"""


def say(**what):
    print(json.dumps(what), flush=True)


def unverified():
    """The server's certificate was made for this run."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Client(slixmpp.ClientXMPP):
    """A client of the private Prosody."""

    def __init__(self, user, port):
        super().__init__(f"{user}@localhost/bench", f"secret-of-{user}")
        for plugin in ("xep_0030", "xep_0199"):
            self.register_plugin(plugin)
        self.register_plugin("xep_0047", {"auto_accept": True, "max_block_size": 65535})
        self.register_plugin("xep_0065", {"auto_accept": True})
        self.register_plugin("xep_0363")
        self.ssl_context = unverified()
        self.online = asyncio.get_event_loop().create_future()
        self.add_event_handler("session_start", self.started)
        self.connect("127.0.0.1", port)

    async def started(self, _):
        self.send_presence()
        self.online.set_result(None)


async def lines():
    """The lines of stdin as they come."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_event_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


async def send(port):
    """Sends a file for each line `{"way", "path"}`; says when it began."""
    client = Client("alice", port)
    await client.online
    say(online=True)
    async for order in lines():
        say(began=time.time())
        with open(order["path"], "rb") as file:
            data = file.read()
        await WAYS[order["way"]](client, "bob@localhost/bench", order["path"], data)


async def send_in_band(client, to, _, data):
    stream = await client.plugin["xep_0047"].open_stream(to, block_size=BLOCK)
    room = asyncio.Semaphore(OUTSTANDING)

    async def block(start):
        try:
            await stream.send(data[start:start + BLOCK], timeout=3600)
        finally:
            room.release()

    tasks = []
    for start in range(0, len(data), BLOCK):
        await room.acquire()
        tasks.append(asyncio.ensure_future(block(start)))
        # The number of a block is given when its task begins.
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    await stream.close()


async def send_by_proxy(client, to, _, data):
    proxy = await client.plugin["xep_0065"].handshake(to, timeout=60)
    proxy.transport.write(data)
    proxy.transport.write_eof()
    await asyncio.sleep(0)


async def send_by_http(client, to, path, _):
    url = await client.plugin["xep_0363"].upload_file(path, domain="localhost", timeout=600)
    client.send_message(mto=to, mbody=str(url))


WAYS = {"in-band": send_in_band, "proxy65": send_by_proxy, "http": send_by_http}


async def receive(port, path):
    """Writes what comes to a file, whatever the way; says how much it was, its hash and when it was there."""
    client = Client("bob", port)
    into = {"file": None, "hash": None, "size": 0}

    def take(data):
        if into["file"] is None:
            into.update(file=open(path, "wb"), hash=hashlib.sha256(), size=0)
        into["file"].write(data)
        into["hash"].update(data)
        into["size"] += len(data)

    def end(*_):
        into["file"].close()
        say(done=time.time(), size=into["size"], sha256=into["hash"].hexdigest())
        into["file"] = None

    client.add_event_handler("ibb_stream_data", lambda stream: take(stream.recv_queue.get_nowait()))
    client.add_event_handler("ibb_stream_end", end)
    client.add_event_handler("socks5_data", take)
    client.add_event_handler("socks5_closed", end)

    async def fetch(message):
        async with aiohttp.ClientSession() as session, session.get(message["body"]) as answer:
            async for data in answer.content.iter_chunked(1 << 16):
                take(data)
        end()

    client.add_event_handler("message", fetch)
    await client.online
    say(online=True)
    async for _ in lines():
        pass


class Prosody:
    """A server of its own for one kind of limits."""

    def __init__(self, folder, stock):
        os.makedirs(f"{folder}/data/localhost/accounts")
        ports = []
        for _ in range(3):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                ports.append(free.getsockname()[1])
        self.port = ports[0]
        command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1".split()
        subprocess.run(command + ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"], check=True, capture_output=True)
        for user in ("alice", "bob"):
            with open(f"{folder}/data/localhost/accounts/{user}.dat", "w") as file:
                file.write(f'return {{ ["password"] = "secret-of-{user}" }};\n')
        with open(f"{folder}/prosody.cfg.lua", "w") as file:
            file.write(CONFIG.format(
                folder=folder, c2s=ports[0], proxy=ports[1], https=ports[2],
                limits=STOCK if stock else "c2s_stanza_size_limit = 1024 * 1024", limits_module=', "limits"' if stock else ""))
        self.process = subprocess.Popen(["prosody", "-F", "--config", f"{folder}/prosody.cfg.lua"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise SystemExit("Prosody does not listen; see " + f"{folder}/prosody.log")

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Peer:
    """One of the two clients, in a program of its own."""

    def __init__(self, certificate, *args):
        # HTTP trusts the server's certificate, which was made for this run.
        self.process = subprocess.Popen([sys.executable, __file__, *map(str, args)], text=True,
                                        env={**os.environ, "SSL_CERT_FILE": certificate},
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.hear()

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a client has ended")
        return json.loads(line)

    def tell(self, **what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def stop(self):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait()


def run(folder, rounds):
    measured = {}
    for stock, ways in ((False, (("in-band", 16 * MIB), ("proxy65", 16 * MIB), ("http", 16 * MIB))), (True, (("in-band", MIB // 4),))):
        place = os.path.join(folder, "stock" if stock else "raised")
        os.makedirs(place)
        server = Prosody(place, stock)
        certificate = f"{place}/cert.pem"
        bob = Peer(certificate, "receive", server.port, f"{place}/received")
        alice = Peer(certificate, "send", server.port)
        try:
            for _ in range(rounds):
                for way, size in ways:
                    data = os.urandom(size)
                    with open(f"{place}/content", "wb") as file:
                        file.write(data)
                    alice.tell(way=way, path=f"{place}/content")
                    began, done = alice.hear()["began"], bob.hear()
                    if (done["size"], done["sha256"]) != (size, hashlib.sha256(data).hexdigest()):
                        raise SystemExit(f"{way}: what came is not what was sent")
                    measured.setdefault((way, stock, size), []).append(done["done"] - began)
        finally:
            alice.stop()
            bob.stop()
            server.stop()
    for (way, stock, size), seconds in measured.items():
        say(way=way, limits="stock" if stock else "raised", size=size, seconds=seconds)


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1] == "send":
        asyncio.run(send(int(sys.argv[2])))
    else:
        asyncio.run(receive(int(sys.argv[2]), sys.argv[3]))
