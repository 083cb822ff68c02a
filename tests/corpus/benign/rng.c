/*
 * Random number generators as simulations and shuffles use them: `rng MODE` runs MODE
 * until it is killed. All but the counter-based ones are multiplies, shifts and xors in
 * registers; Philox and Threefry are ciphers with fewer rounds.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define DRAWS (1 << 22)

static volatile uint64_t sink;

static uint64_t rotl(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

/* PCG32 (O'Neill): a linear congruence whose output is rotated by itself. */
static uint64_t pcg32(uint64_t s)
{
	uint64_t sum = 0;
	for (int n = 0; n < DRAWS; n++) {
		uint32_t x = (uint32_t)(((s >> 18) ^ s) >> 27), r = s >> 59;
		s = s * 6364136223846793005u + 1442695040888963407u;
		sum += x >> r | x << (-r & 31);
	}
	return sum;
}

/* PCG64 DXSM, numpy's choice for many streams. */
static uint64_t pcg64(uint64_t seed)
{
	unsigned __int128 s = seed;
	uint64_t sum = 0;
	for (int n = 0; n < DRAWS; n++) {
		uint64_t hi = (uint64_t)(s >> 64), lo = (uint64_t)s | 1;
		s = s * 0xda942042e4dd58b5u + 0x5851f42d4c957f2du;
		hi ^= hi >> 32;
		hi *= 0xda942042e4dd58b5u;
		hi ^= hi >> 48;
		sum += hi * lo;
	}
	return sum;
}

/* SFC64 (Doty-Humphrey). */
static uint64_t sfc64(uint64_t s)
{
	uint64_t a = s, b = s + 1, c = s + 2, sum = 0;
	for (uint64_t n = 0; n < DRAWS; n++) {
		uint64_t t = a + b + n;
		a = b ^ b >> 11;
		b = c + (c << 3);
		c = rotl(c, 24) + t;
		sum += t;
	}
	return sum;
}

/* wyrand (Wang): one wide multiply a number. */
static uint64_t wyrand(uint64_t s)
{
	uint64_t sum = 0;
	for (int n = 0; n < DRAWS; n++) {
		s += 0xa0761d6478bd642fu;
		unsigned __int128 t = (unsigned __int128)s * (s ^ 0xe7037ed1a0b428dbu);
		sum += (uint64_t)(t >> 64) ^ (uint64_t)t;
	}
	return sum;
}

/* Philox 4x32-10 (Salmon and others): what numpy, TensorFlow and cuRAND have. */
static uint64_t philox(uint64_t s)
{
	uint64_t sum = 0;
	for (uint32_t n = 0; n < DRAWS / 4; n++) {
		uint32_t x[4] = { n, (uint32_t)s, 0, 0 }, k0 = 0x2545f491, k1 = 0x4f6cdd1d;
		for (int r = 0; r < 10; r++) {
			uint64_t p = (uint64_t)x[0] * 0xd2511f53u, q = (uint64_t)x[2] * 0xcd9e8d57u;
			uint32_t a = (uint32_t)(q >> 32) ^ x[1] ^ k0, b = (uint32_t)(p >> 32) ^ x[3] ^ k1;
			x[0] = a;
			x[1] = (uint32_t)q;
			x[2] = b;
			x[3] = (uint32_t)p;
			k0 += 0x9e3779b9u;
			k1 += 0xbb67ae85u;
		}
		sum += x[0] ^ x[1] ^ x[2] ^ x[3];
	}
	return sum;
}

/* Threefry 4x64-20 (Salmon and others): what JAX and simulations have. */
static uint64_t threefry(uint64_t s)
{
	static const int turns[8][2] = { { 14, 16 }, { 52, 57 }, { 23, 40 }, { 5, 37 },
					 { 25, 33 }, { 46, 12 }, { 58, 22 }, { 32, 32 } };
	uint64_t sum = 0;
	for (uint64_t n = 0; n < DRAWS / 8; n++) {
		uint64_t k[5] = { s, 1, 2, 3, 0x1bd11bdaa9fc1a22u ^ s ^ 1 ^ 2 ^ 3 };
		uint64_t x0 = n + k[0], x1 = k[1], x2 = k[2], x3 = k[3];
#pragma GCC unroll 20
		for (int r = 0; r < 20; r++) {
			const int *t = turns[r % 8];
			if (r % 2 == 0) {
				x0 += x1;
				x1 = rotl(x1, t[0]) ^ x0;
				x2 += x3;
				x3 = rotl(x3, t[1]) ^ x2;
			} else {
				x0 += x3;
				x3 = rotl(x3, t[0]) ^ x0;
				x2 += x1;
				x1 = rotl(x1, t[1]) ^ x2;
			}
			if (r % 4 == 3) {
				int j = r / 4 + 1;
				x0 += k[j % 5];
				x1 += k[(j + 1) % 5];
				x2 += k[(j + 2) % 5];
				x3 += k[(j + 3) % 5] + (uint64_t)j;
			}
		}
		sum += x0 ^ x1 ^ x2 ^ x3;
	}
	return sum;
}

/* splitmix64 over an array: seeds for many streams. */
static uint64_t splitmix(uint64_t s)
{
	static uint64_t seeds[1 << 12];
	for (int n = 0; n < DRAWS; n++) {
		uint64_t x = s += 0x9e3779b97f4a7c15u;
		x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
		x = (x ^ x >> 27) * 0x94d049bb133111ebu;
		seeds[n % (1 << 12)] ^= x ^ x >> 31;
	}
	return seeds[s % (1 << 12)];
}

/* xoroshiro128+ (Blackman and Vigna) drawing points for an integral. */
static uint64_t xoroshiro(uint64_t s)
{
	uint64_t a = s + 1, b = s + 2, inside = 0;
	for (int n = 0; n < DRAWS; n++) {
		uint64_t r = a + b, t = a ^ b;
		a = rotl(a, 24) ^ t ^ t << 16;
		b = rotl(t, 37);
		double x = (uint32_t)r * 0x1p-32, y = (r >> 32) * 0x1p-32;
		inside += x * y < 0.25;
	}
	return inside;
}

static const struct {
	const char *name;
	uint64_t (*step)(uint64_t);
} modes[] = {
	{ "pcg32", pcg32 },   { "pcg64", pcg64 },	{ "sfc64", sfc64 },	  { "wyrand", wyrand },
	{ "philox", philox }, { "threefry", threefry }, { "splitmix", splitmix }, { "xoroshiro", xoroshiro },
};

int main(int argc, char **argv)
{
	for (size_t m = 0; argc > 1 && m < sizeof modes / sizeof *modes; m++)
		if (!strcmp(argv[1], modes[m].name))
			for (uint64_t i = 1;; i++)
				sink = modes[m].step(i);
	fprintf(stderr, "usage: rng MODE\n");
	return 2;
}
