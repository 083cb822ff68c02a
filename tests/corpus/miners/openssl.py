"""Grinds a nonce with hashes of OpenSSL by Python's hashlib, until killed.

Usage: openssl.py sha256d|sha512d|blake2b|scrypt

The digests are shorter than a call, so that the interpreter takes most of the
time, as it does in a miner that is written in Python.
"""

import hashlib
import sys

import stratum

HASHES = {
    "sha256d": lambda data: hashlib.sha256(hashlib.sha256(data).digest()).digest(),
    "sha512d": lambda data: hashlib.sha512(hashlib.sha512(data).digest()).digest(),
    "blake2b": lambda data: hashlib.blake2b(data, digest_size=32).digest(),
    "scrypt": lambda data: hashlib.scrypt(data, salt=data, n=1024, r=1, p=1, dklen=32),
}


stratum.mine(HASHES[sys.argv[1]])
