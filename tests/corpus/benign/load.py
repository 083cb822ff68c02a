"""A client of the servers beside this file: `load.py KIND PORT [A SECOND] [CLIENTS]`.

KIND is `login` (one in four passwords is wrong), `upload` (bodies of 8 MiB), `small`
(bodies of 4 KiB) or `token`. Without a rate each client asks again as soon as it is
answered; the rate is of all clients together. It ends after a minute, or LOAD_SECONDS.
"""
import base64
import hmac
import http.client
import os
import sys
import threading
import time

SECONDS = float(os.environ.get("LOAD_SECONDS", "60"))
# Until a server that is started at the same moment listens.
PATIENCE = 20


def token():
    head = base64.urlsafe_b64encode(b'{"alg":"HS256"}') + b"." + base64.urlsafe_b64encode(b'{"sub":"user"}' * 20)
    return head + b"." + base64.urlsafe_b64encode(hmac.digest(b"secret", head, "sha256"))


REQUESTS = {
    "login": lambda n: ("/login", b'{"user":"u%d","password":"%s"}' % (n, b"wrong" if n % 4 == 0 else b"password")),
    "upload": lambda n, body=os.urandom(8 << 20): ("/upload", body),
    "small": lambda n, body=os.urandom(4 << 10): ("/upload", body),
    "token": lambda n, body=token(): ("/token", body),
}


def client(request, port, pause):
    end = time.monotonic() + SECONDS
    n = 0
    connection = None
    while time.monotonic() < end:
        n += 1
        path, body = request(n)
        try:
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            connection = None
            if n > PATIENCE * 10:
                sys.exit(1)
            time.sleep(0.1)
            continue
        # Browsers come and go.
        if n % 8 == 0:
            connection.close()
            connection = None
        if pause:
            time.sleep(pause)


kind, port = sys.argv[1], int(sys.argv[2])
rate = float(sys.argv[3]) if len(sys.argv) > 3 else 0
clients = int(sys.argv[4]) if len(sys.argv) > 4 else 2
threads = [
    threading.Thread(target=client, args=(REQUESTS[kind], port, clients / rate if rate else 0)) for _ in range(clients)
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
