"""Hashing a Python program does for a living: `hashes.py MODE` runs MODE until it is killed.

Each mode is one real use: a cache key, a password check, the digest of an upload.
The work is done inside OpenSSL or CPython's own modules, called from the interpreter.
"""
import hashlib
import hmac
import sys
import zlib

MIB = bytes(range(256)) * 4096


def big(name):
    """Digest of 1 MiB buffers: the inner loop never returns to the interpreter."""
    return lambda i: hashlib.new(name, MIB).digest()


def small(name):
    """Digests of short strings (cache keys): half interpreter, half hash."""

    def step(i):
        for n in range(10_000):
            hashlib.new(name, b"user:%d:%d" % (i, n)).hexdigest()

    return step


def merkle(_):
    """Root of a tree of SHA-256 over 16384 leaves, as a file-sync or a ledger *reader* does."""
    level = [hashlib.sha256(MIB[n : n + 64]).digest() for n in range(16384)]
    while len(level) > 1:
        level = [hashlib.sha256(a + b).digest() for a, b in zip(level[::2], level[1::2])]


def signed_cookies(i):
    """HMAC-SHA256 of short messages, as a web framework signs its cookies."""
    for n in range(10_000):
        hmac.digest(b"secret", b"session=%d.%d" % (i, n), "sha256")


MODES = {
    "sha256-big": big("sha256"),
    "sha512-big": big("sha512"),
    "md5-big": big("md5"),
    "sha3-big": big("sha3_256"),
    "blake2b-big": big("blake2b"),
    "blake2s-big": big("blake2s"),
    "sha256-small": small("sha256"),
    "md5-small": small("md5"),
    "merkle": merkle,
    "hmac": signed_cookies,
    "pbkdf2": lambda i: hashlib.pbkdf2_hmac("sha256", b"password%d" % i, b"salt", 600_000),
    "pbkdf2-sha512": lambda i: hashlib.pbkdf2_hmac("sha512", b"password%d" % i, b"salt", 210_000),
    # OWASP's password parameters: 16 MiB and 128 MiB a guess.
    "scrypt": lambda i: hashlib.scrypt(b"password%d" % i, salt=b"salt", n=1 << 14, r=8, p=5, maxmem=1 << 28),
    "scrypt-128m": lambda i: hashlib.scrypt(b"password%d" % i, salt=b"salt", n=1 << 17, r=8, p=1, maxmem=1 << 28),
    "crc32": lambda i: zlib.crc32(MIB),
    "adler32": lambda i: zlib.adler32(MIB),
}

step, i = MODES[sys.argv[1]], 0
while True:
    step(i)
    i += 1
