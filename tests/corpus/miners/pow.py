"""Grinds a nonce with the proof-of-work hash of a PyPI package until killed.

Usage: pow.py MODULE FUNCTION

These packages are what pools and block explorers of a coin check shares with; the
function takes a block header of 80 bytes. RandomX, yescrypt and Ethash, which have
other ways to be called, are named instead of a function: `randomx`, `cyrx`,
`cyrx-v2`, `yescrypt`, `ethash`. So are hashes of general use: `argon2d` and `argon2id`,
whose memory is new for each, and `scrypt-N-R` of hashlib, whose scratchpad has
128 * N * R bytes.
"""

import importlib
import struct
import sys

import stratum


def randomx(module):
    """RandomX as its bindings have it, with a cache of 256 MiB."""
    return module.RandomX(b"unjack corpus")


def cyrx(module, more=0):
    """RandomX with another binding: version 1, or with `more` version 2."""
    flags = module.get_flags() | more
    cache = module.Cache(flags)
    cache.init(b"unjack corpus")
    machine = module.VM(flags, cache=cache)
    # The machine does not keep its cache alive by itself.
    return lambda header, _cache=cache: machine.hash(header)


def yescrypt(module):
    """yescrypt with the parameters of GlobalBoost-Y."""
    hasher = module.Yescrypt(n=2048, r=8, mode=module.Mode.RAW)
    return lambda header: hasher.digest(header, header)


def ethash(module):
    """Ethash without its dataset, as a miner on a small machine has it."""

    def call(header):
        nonce = struct.unpack_from("<I", header, 76)[0]
        return module.hash(0, header[:32], nonce)[0]

    return call


def argon2(module, kind, kib, passes):
    """Argon2 as argon2-cffi has it: its memory is allocated for each hash."""
    kind = getattr(module.Type, kind)

    def call(header):
        return module.hash_secret_raw(header, header[:16], passes, kib, 1, 32, kind)

    return call


def scrypt(module, n, r):
    """scrypt as OpenSSL has it."""
    most = 256 * n * r

    def call(header):
        return module.scrypt(header, salt=header, n=n, r=r, p=1, maxmem=most, dklen=32)

    return call


SPECIAL = {
    "argon2d": lambda module: argon2(module, "D", 16_000, 1),
    "argon2id": lambda module: argon2(module, "ID", 2_048, 1),
    "scrypt-8192-1": lambda module: scrypt(module, 8192, 1),
    "scrypt-16384-1": lambda module: scrypt(module, 16384, 1),
    "scrypt-4096-8": lambda module: scrypt(module, 4096, 8),
    "randomx": randomx,
    "cyrx": cyrx,
    "cyrx-v2": lambda module: cyrx(module, module.CYRX_FLAG_V2),
    "yescrypt": yescrypt,
    "ethash": ethash,
}


# What is mined in the other dialect, in which work is a blob of 76 bytes.
BLOBS = {"randomx", "cyrx", "cyrx-v2"}


def main():
    name, function = sys.argv[1:]
    module = importlib.import_module(name)
    if function in SPECIAL:
        call = SPECIAL[function](module)
    else:
        call = getattr(module, function)
    stratum.mine(call, blob=function in BLOBS)


main()
