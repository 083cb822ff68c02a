"""SHA-256 of a text file in Python itself (FIPS 180-4): every rotate is an interpreter's work."""
import sys


def primes():
    """Prime numbers from 2 on."""
    found, n = [], 2
    while True:
        if all(n % p for p in found):
            found.append(n)
            yield n
        n += 1


def root(n, power):
    """First 32 bits of the fraction of the `power`-th root of `n`, in integers."""
    low, high, target = 0, n << 32, n << (32 * power)
    while low < high:
        mid = (low + high + 1) // 2
        low, high = (mid, high) if mid**power <= target else (low, mid - 1)
    return low & 0xFFFFFFFF


P = [p for p, _ in zip(primes(), range(64))]
K = [root(p, 3) for p in P]
START = [root(p, 2) for p in P[:8]]


def ror(x, n):
    """Rotate right in 32 bits."""
    return (x >> n | x << (32 - n)) & 0xFFFFFFFF


def block(state, chunk):
    """One compression of 64 bytes."""
    w = [int.from_bytes(chunk[i : i + 4], "big") for i in range(0, 64, 4)]
    for i in range(16, 64):
        s0 = ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^ w[i - 15] >> 3
        s1 = ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ w[i - 2] >> 10
        w.append((w[i - 16] + s0 + w[i - 7] + s1) & 0xFFFFFFFF)
    a, b, c, d, e, f, g, h = state
    for k, x in zip(K, w):
        t1 = h + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) + (e & f ^ ~e & g) + k + x
        t2 = (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) + (a & b ^ a & c ^ b & c)
        a, b, c, d, e, f, g, h = (t1 + t2) & 0xFFFFFFFF, a, b, c, (d + t1) & 0xFFFFFFFF, e, f, g
    return [(x + y) & 0xFFFFFFFF for x, y in zip(state, (a, b, c, d, e, f, g, h))]


def sha256(data):
    """The digest of `data`, as hexadecimal."""
    data += b"\x80" + bytes((55 - len(data)) % 64) + (8 * len(data)).to_bytes(8, "big")
    state = START
    for i in range(0, len(data), 64):
        state = block(state, data[i : i + 64])
    return "".join(f"{x:08x}" for x in state)


assert sha256(b"abc").startswith("ba7816bf8f01cfea")
with open(sys.argv[1], "rb") as file:
    print(sha256(file.read()))
