"""A small HTTP server that checks passwords or stores uploads: `server.py MODE PORT`.

With BROKER, a port, it also reads the notices of broker.py, as servers with a cache do.

Each request to /login checks a password against a stored verifier, each request to
/upload digests its body, and each request to /token checks a signed token, as web
applications do. It listens on loopback until it is killed; load.py is its client.
"""
import base64
import hashlib
import hmac
import http.server
import json
import os
import sys
import threading

PIECE = 1 << 16  # bytes read of a body at a time


def argon2id():
    """argon2-cffi with OWASP's parameters: 19 MiB, two passes."""
    import argon2

    hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
    stored = hasher.hash("password")

    def check(password):
        try:
            return hasher.verify(stored, password)
        except argon2.exceptions.VerifyMismatchError:
            return False

    return check


def argon2id_heavy():
    """argon2-cffi with its own defaults: 64 MiB, three passes, four lanes."""
    import argon2

    hasher = argon2.PasswordHasher()
    stored = hasher.hash("password")

    def check(password):
        try:
            return hasher.verify(stored, password)
        except argon2.exceptions.VerifyMismatchError:
            return False

    return check


def bcrypt():
    """PyPI's bcrypt at cost 10."""
    import bcrypt

    stored = bcrypt.hashpw(b"password", bcrypt.gensalt(10))
    return lambda password: bcrypt.checkpw(password.encode(), stored)


def derived(derive):
    """A verifier that is a derived key."""
    stored = derive(b"password")
    return lambda password: hmac.compare_digest(stored, derive(password.encode()))


LOGINS = {
    "argon2id": argon2id,
    "argon2id-heavy": argon2id_heavy,
    "bcrypt": bcrypt,
    "scrypt": lambda: derived(lambda p: hashlib.scrypt(p, salt=b"salt", n=1 << 14, r=8, p=1, maxmem=1 << 26)),
    "pbkdf2": lambda: derived(lambda p: hashlib.pbkdf2_hmac("sha256", p, b"salt", 100_000)),
    "pbkdf2-sha512": lambda: derived(lambda p: hashlib.pbkdf2_hmac("sha512", p, b"salt", 210_000)),
}


def token_check(token):
    """Whether an HS256 token is ours."""
    head, _, signature = token.rpartition(".")
    wanted = base64.urlsafe_b64encode(hmac.digest(b"secret", head.encode(), "sha256"))
    return hmac.compare_digest(wanted, signature.encode())


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        left = int(self.headers["Content-Length"])
        if self.path == "/upload":
            digest = hashlib.new(mode)
            while left > 0:
                piece = self.rfile.read(min(left, PIECE))
                digest.update(piece)
                left -= len(piece)
            self.answer(200, digest.hexdigest())
        elif self.path == "/login":
            good = check(json.loads(self.rfile.read(left))["password"])
            self.answer(200 if good else 403, "yes" if good else "no")
        else:
            good = token_check(self.rfile.read(left).decode())
            self.answer(200 if good else 403, "yes" if good else "no")

    def answer(self, code, text):
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def read_notices(port):
    import broker

    for _ in broker.connect(port, b"notices").makefile("rb"):
        pass


mode, port = sys.argv[1], int(sys.argv[2])
if "BROKER" in os.environ:
    threading.Thread(target=read_notices, args=[int(os.environ["BROKER"])], daemon=True).start()
check = LOGINS[mode]() if mode in LOGINS else None
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
