"""Grinds a nonce with the C hash of a PyPI package until killed.

Usage: native.py MODULE FUNCTION [ARGUMENT...]

The function takes a block header of 80 bytes, an output, then the arguments,
which are whole numbers. It is called by ctypes and not by the package's own
wrapper: several wrappers are too old for Python 3.10 and later. With
`sph_NAME512` for FUNCTION, sphlib's hash of that name, in its three calls.
"""

import ctypes
import importlib.util
import sys

import stratum


def single(library, function, arguments):
    """A hash in one call."""
    call = getattr(library, function)
    call.restype = None
    arguments = [ctypes.c_uint(argument) for argument in arguments]
    return lambda header, output: call(header, output, *arguments)


def sphlib(library, function, _):
    """A hash as sphlib has it: init, update and close over a context."""
    init, update, close = (
        getattr(library, function + suffix) for suffix in ("_init", "", "_close")
    )
    init.restype = update.restype = close.restype = None
    context = ctypes.create_string_buffer(4096)  # the largest, SIMD's, is 700 bytes
    length = ctypes.c_size_t(80)

    def call(header, output):
        init(context)
        update(context, header, length)
        close(context, output)

    return call


def main():
    module, function, *arguments = sys.argv[1:]
    library = ctypes.CDLL(importlib.util.find_spec(module).origin)
    driver = sphlib if function.startswith("sph_") else single
    call = driver(library, function, [int(argument) for argument in arguments])
    # In place and not by `stratum.mine`: all but the call is little.
    pool = stratum.Pool()
    header = ctypes.create_string_buffer(80)
    nonce = ctypes.c_uint32.from_buffer(header, 76)
    output = ctypes.create_string_buffer(64)
    top = ctypes.c_uint32.from_buffer(output, 28)
    generation = -1
    while True:
        if generation != pool.generation:
            generation, limit = pool.generation, pool.limit
            header[:76] = pool.header[:76]
        nonce.value += 1
        call(header, output)
        if top.value <= limit:
            pool.share(output.raw, header.raw)


main()
