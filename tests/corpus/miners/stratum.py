"""A pool's work, for the miners beside this file.

With POOL=HOST:PORT in the environment they mine there: over Stratum version 1,
or in the dialect of RandomX and CryptoNight. Without it they have one header that
never changes, and nobody to tell of what they find.
"""

import hashlib
import json
import os
import socket
import struct
import threading


class Pool:
    """A connection, the newest work, and the way back for shares.

    `header` is the work as bytes, `generation` another number for every other work,
    and a digest is a share if the last four of its first 32 bytes are at most `limit`.
    """

    def __init__(self, blob=False):
        self.generation = 0
        self.limit = 0
        self.blob = blob
        self.header = b"\x5a" * (76 if blob else 80)
        self._nonce = 39 if blob else 76
        self._socket = None
        self._lock = threading.Lock()
        self._difficulty = 1.0
        self._count = 0
        address = os.environ.get("POOL")
        if address:
            host, port = address.rsplit(":", 1)
            self._socket = socket.create_connection((host, int(port)))
            self._lines = self._socket.makefile("r")
            self._open()
            threading.Thread(target=self._listen, daemon=True).start()

    def _send(self, method, params):
        with self._lock:
            self._count += 1
            message = {"id": self._count, "method": method, "params": params}
            self._socket.sendall(json.dumps(message).encode() + b"\n")

    def _open(self):
        if self.blob:
            self._send("login", {"login": "corpus", "pass": "x", "agent": "corpus/1"})
        else:
            self._send("mining.subscribe", ["corpus/1"])
            answer = json.loads(self._lines.readline())["result"]
            self._extra, self._size = bytes.fromhex(answer[1]), answer[2]
            self._send("mining.authorize", ["corpus", "x"])
        while self.generation == 0:
            self._take(json.loads(self._lines.readline()))

    def _listen(self):
        for line in self._lines:
            self._take(json.loads(line))
        os._exit(1)

    def _take(self, message):
        method, result = message.get("method"), message.get("result")
        if method == "mining.set_difficulty":
            self._difficulty = message["params"][0]
        elif method == "mining.notify":
            self._notify(*message["params"])
        elif method == "job":
            self._job(message["params"])
        elif isinstance(result, dict) and "job" in result:
            self._login = result["id"]
            self._job(result["job"])

    def _notify(self, job, previous, first, second, branches, version, bits, time, _clean):
        """Builds the header of a block, as every miner does."""
        twice = lambda data: hashlib.sha256(hashlib.sha256(data).digest()).digest()
        extra = struct.pack(">I", self.generation)[-self._size :]
        root = twice(bytes.fromhex(first) + self._extra + extra + bytes.fromhex(second))
        for branch in branches:
            root = twice(root + bytes.fromhex(branch))
        flip = lambda text: bytes.fromhex(text)[::-1]
        words = bytes.fromhex(previous)
        turned = b"".join(words[at : at + 4][::-1] for at in range(0, 32, 4))
        self._job_id, self._time, self._extra2 = job, time, extra.hex()
        self.limit = min(0xFFFFFFFF, int(1 / self._difficulty))
        self.header = flip(version) + turned + root + flip(time) + flip(bits) + bytes(4)
        self.generation += 1

    def _job(self, job):
        self._job_id = job["job_id"]
        self.limit = struct.unpack("<I", bytes.fromhex(job["target"]))[0]
        self.header = bytes.fromhex(job["blob"])
        self.generation += 1

    def share(self, digest, header):
        """Tells of a digest that is good enough, and says so."""
        if self._socket is None:
            print("found", flush=True)
            return
        nonce = bytes(header[self._nonce : self._nonce + 4])
        if self.blob:
            found = {"id": self._login, "job_id": self._job_id, "nonce": nonce.hex(), "result": digest[:32].hex()}
            self._send("submit", found)
        else:
            self._send("mining.submit", ["corpus", self._job_id, self._extra2, self._time, nonce[::-1].hex()])


def mine(hash_of, blob=False):
    """Hashes header after header until killed. `hash_of` takes bytes."""
    pool = Pool(blob)
    offset = 39 if blob else 76
    generation, nonce = -1, 0
    while True:
        if generation != pool.generation:
            generation, header, limit = pool.generation, bytearray(pool.header), pool.limit
        nonce = (nonce + 1) & 0xFFFFFFFF
        struct.pack_into("<I", header, offset, nonce)
        digest = hash_of(bytes(header))
        if struct.unpack_from("<I", digest, 28)[0] <= limit:
            pool.share(digest, header)
