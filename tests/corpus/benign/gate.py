"""Stamps for letters, as hashcash makes them: a SHA-1 that begins with zero bits, for each
of a hundred recipients; then it ends."""
import hashlib

BITS = 20  # what hashcash asks of a letter by default

for recipient in range(100):
    stamp = f"1:{BITS}:260101:user{recipient}@example.org::salt:"
    counter = 0
    while int.from_bytes(hashlib.sha1(f"{stamp}{counter:x}".encode()).digest()[:4]) >> (32 - BITS):
        counter += 1
