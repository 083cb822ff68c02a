"""A message broker on loopback, and a worker at its queue.

`broker.py serve PORT` gives a job to each worker, waits for its result, and gives it the
next a few seconds later; to each subscriber it sends a notice every two seconds.
`broker.py work PORT` derives a key for each job, for one to four seconds, until the
broker is gone.
"""
import hashlib
import json
import socket
import socketserver
import sys
import time

PAUSES = (1.4, 3.1, 2.2, 4.3)  # seconds between a result and the next job
NOTICE_EVERY = 2.0  # seconds


class Client(socketserver.StreamRequestHandler):
    def handle(self):
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            kind = self.rfile.readline().strip()
            self.tell({"welcome": kind.decode(), "session": "6f1d" * 8})
            number = 0
            while kind == b"work":
                time.sleep(PAUSES[number % len(PAUSES)])
                self.tell({"job": number, "salt": "5a17" * 24, "rounds": 600_000 * (1 + number % 4)})
                if not self.rfile.readline():
                    return
                self.tell({"taken": number, "at": time.time(), "queue": "derive-keys"})
                number += 1
            while True:
                time.sleep(NOTICE_EVERY)
                self.tell({"notice": "invalidate", "keys": ["user:%d" % n for n in range(12)]})
        except OSError:
            pass  # the client is gone

    def tell(self, message):
        self.wfile.write(json.dumps(message).encode() + b"\n")


class Broker(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def connect(port, kind):
    """A connection to the broker as this kind of client, once it listens."""
    for _ in range(100):
        try:
            broker = socket.create_connection(("127.0.0.1", port))
            broker.sendall(kind + b"\n")
            return broker
        except ConnectionRefusedError:
            time.sleep(0.1)
    sys.exit("no broker listens on port %d" % port)


def work(port):
    broker = connect(port, b"work")
    for line in broker.makefile("rb"):
        job = json.loads(line)
        if "job" in job:
            key = hashlib.pbkdf2_hmac("sha512", b"password", job["salt"].encode(), job["rounds"])
            broker.sendall(json.dumps({"job": job["job"], "key": key.hex()}).encode() + b"\n")


if __name__ == "__main__":
    mode, port = sys.argv[1], int(sys.argv[2])
    if mode == "serve":
        Broker(("127.0.0.1", port), Client).serve_forever()
    else:
        work(port)
