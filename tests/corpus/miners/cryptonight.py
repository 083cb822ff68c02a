"""Grinds a nonce with CryptoNight of PyPI's py-cryptonight until killed.

Usage: cryptonight.py VARIANT

Variants as Monero numbers them: 0, 1, 2 and 4 (CryptoNight-R). A hash takes
tens of milliseconds, all of it in C.
"""

import sys

import pycryptonight

import stratum

variant = int(sys.argv[1])
stratum.mine(lambda blob: pycryptonight.cn_slow_hash(blob, variant), blob=True)
