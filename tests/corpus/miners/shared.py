"""Grinds a nonce with a hash of a shared library until killed, as a pool of CryptoNight
has it: `shared.py LIBRARY FUNCTION`.

The function takes the work, its length, and where 32 bytes of digest are to be written.
"""

import ctypes
import sys

import stratum

library, function = sys.argv[1:]
call = getattr(ctypes.CDLL(library), function)
call.restype = None
call.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p]
output = ctypes.create_string_buffer(32)


def hash_of(work):
    call(work, len(work), output)
    return output.raw


stratum.mine(hash_of, blob=True)
