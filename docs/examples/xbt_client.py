#!/usr/bin/env python3
"""A client of xbtd in plain Python, for people who write their own (see docs/rpc.md).

    xbt_client.py hello | status | list | show ID | send CONTACT PATH [MESSAGE]
"""
import json
import os
import socket
import struct
import sys

PROTOCOL = 1


class Refused(Exception):
    """The daemon refused: a stable code, a sentence, and what to do."""


class Xbt:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.stream = self.socket.makefile("rb")
        self.next_id = 0
        self.hello = self.call("Hello")
        if self.hello["protocol"] != PROTOCOL:
            raise SystemExit(f"error: the daemon speaks protocol {self.hello['protocol']}, not {PROTOCOL}")

    def call(self, method, seconds=10, **arguments):
        """Makes one call and waits for its answer."""
        request = {"context": {"deadline": {"secs": seconds, "nanos": 0}}, "id": self.next_id,
                   "message": {method: arguments}}
        self.next_id += 1
        frame = json.dumps({"Request": request}).encode()
        self.socket.sendall(struct.pack(">I", len(frame)) + frame)
        (length,) = struct.unpack(">I", self.stream.read(4))
        message = json.loads(self.stream.read(length))["message"]
        if "Err" in message:  # the call itself was not understood, or there are too many of them
            raise Refused(f"{message['Err']['detail']}")
        result = message["Ok"][method]
        if "Err" in result:
            error = result["Err"]
            raise Refused(f"{error['message']} [{error['code']}]\nhint: {error['hint']}")
        return result["Ok"]

    def list(self):
        """All transfers, page by page."""
        after, more = None, True
        while more:
            page = self.call("List", query={"all": True, "after_id": after})
            yield from page["transfers"]
            after, more = (page["transfers"] or [{"id": after}])[-1]["id"], page["more"]


def default_socket():
    base = os.environ.get("XDG_RUNTIME_DIR") or os.environ.get("XDG_STATE_HOME")
    return os.environ.get("XBT_SOCKET") or os.path.join(base or os.path.expanduser("~/.local/state"), "xbt/xbtd.sock")


def main(command="status", *arguments):
    xbt = Xbt(default_socket())
    if command == "hello":
        return xbt.hello
    if command == "list":
        return list(xbt.list())
    if command == "show":
        return xbt.call("Show", id=int(arguments[0]))
    if command == "send":
        contact, path, *message = arguments
        request = {"contacts": [contact], "paths": [os.path.abspath(path)], "message": message[0] if message else None}
        return xbt.call("Send", request=request)
    return xbt.call("Status")


if __name__ == "__main__":
    try:
        print(json.dumps(main(*sys.argv[1:]), indent=1))
    except (OSError, struct.error, Refused) as error:
        sys.exit(f"error: {error}")
