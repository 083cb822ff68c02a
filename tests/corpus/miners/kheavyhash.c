/*
 * kHeavyHash of PyPI's kheavyhash as shared.py calls it. The package does not build its
 * sources in C itself; and its own call makes the matrix anew for each hash, which miners
 * make once for each piece of work.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kheavyhash_core.h"
#include "keccak_nano.h"

/* Where a pool's work has its nonce, and how many bytes. */
enum { NONCE = 39, NONCE_BYTES = 4 };

void kheavy(const uint8_t *work, size_t length, uint8_t *digest)
{
	static uint16_t matrix[KHEAVYHASH_MATRIX_SIZE][KHEAVYHASH_MATRIX_SIZE];
	static struct kheavyhash_xoshiro_state known;
	struct kheavyhash_xoshiro_state seed;
	uint8_t header[80] = { 0 }, first[32], mixed[32];
	memcpy(header, work, length < NONCE ? length : NONCE);
	memcpy(header + 72, work + NONCE, NONCE_BYTES);
	memcpy(&seed, header, sizeof seed);
	if (memcmp(&seed, &known, sizeof seed)) {
		known = seed;
		kheavyhash_generate_matrix(matrix, &seed);
	}
	cshake256(first, "ProofOfWorkHash", header, sizeof header);
	kheavyhash_heavyhash(matrix, first, mixed);
	cshake256(digest, "HeavyHash", mixed, sizeof mixed);
}
