"""Grinds a nonce with CryptoNight of PyPI's py-cryptonight until killed.

Usage: cryptonight.py VARIANT

Variants as Monero numbers them: 0, 1, 2 and 4 (CryptoNight-R). A hash takes
tens of milliseconds, all of it in C.
"""

import struct
import sys

import pycryptonight


def main():
    variant = int(sys.argv[1])
    blob = bytearray(b"\x5a" * 76)
    nonce = 0
    while True:
        nonce = (nonce + 1) & 0xFFFFFFFF
        struct.pack_into("<I", blob, 39, nonce)
        if pycryptonight.cn_slow_hash(bytes(blob), variant)[-4:] == b"\0\0\0\0":
            print("found", nonce, flush=True)


main()
