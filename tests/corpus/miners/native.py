"""Grinds a nonce with a hash in C, driven by Python, until killed.

Usage: native.py MODULE FUNCTION [ARGUMENT...]

The function takes a block header of 80 bytes, then the arguments, which are
whole numbers. Hashes of PyPI take from 10 us to 50 ms, so that nearly all of the
time is the C library's.
"""

import importlib
import struct
import sys


def main():
    module, function, *arguments = sys.argv[1:]
    hash_of = getattr(importlib.import_module(module), function)
    arguments = [int(argument) for argument in arguments]
    header = bytearray(b"\x5a" * 80)
    nonce = 0
    while True:
        nonce = (nonce + 1) & 0xFFFFFFFF
        struct.pack_into("<I", header, 76, nonce)
        digest = hash_of(bytes(header), *arguments)
        if digest[:4] == b"\0\0\0\0":
            print("found", nonce, flush=True)


main()
