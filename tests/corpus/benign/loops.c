/*
 * Integer work that looks like hashing and is not: `loops MODE` runs MODE until it is killed.
 * Each mode is the inner loop of a real kind of program; all are straight-line shifts, rotates,
 * xors and adds in a few cache lines, which is what proof of work looks like too.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS (1 << 15)

static uint64_t words[WORDS], scratch[WORDS];
/* What the loops compute ends here, so that the compiler must compute it. */
static volatile uint64_t sink;

static uint64_t xorshift(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	return *s ^= *s << 17;
}

static uint64_t rotl(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

/* Monte Carlo estimate of pi with Marsaglia's xorshift. */
static void pi(uint64_t i)
{
	uint64_t s = i * 2 + 1, inside = 0;
	for (int n = 0; n < 1 << 24; n++) {
		uint64_t r = xorshift(&s);
		double x = (uint32_t)r / 4294967296.0, y = (r >> 32) / 4294967296.0;
		inside += x * x + y * y < 1;
	}
	sink = inside;
}

/* xoshiro256** (Blackman and Vigna): random data for a test or a shuffle. */
static void xoshiro(uint64_t i)
{
	uint64_t s0 = i + 1, s1 = 2, s2 = 3, s3 = 4, sum = 0;
	for (int n = 0; n < 1 << 24; n++) {
		uint64_t t = s1 << 17;
		sum += rotl(s1 * 5, 7) * 9;
		s2 ^= s0;
		s3 ^= s1;
		s1 ^= s2;
		s0 ^= s3;
		s2 ^= t;
		s3 = rotl(s3, 45);
	}
	sink = sum;
}

/* Conway's Game of Life, 64 cells a word: adders made of xor and and. */
static void life(uint64_t i)
{
	for (int row = 64; row < WORDS - 64; row++) {
		uint64_t c = words[row], up = words[row - 64], down = words[row + 64];
		uint64_t n[8] = { up, down, c << 1, c >> 1, up << 1, up >> 1, down << 1, down >> 1 };
		uint64_t ones = 0, twos = 0, fours = 0;
		for (int k = 0; k < 8; k++) {
			uint64_t carry = ones & n[k];
			ones ^= n[k];
			fours |= twos & carry;
			twos ^= carry;
		}
		scratch[row] = twos & ~fours & (ones | c);
	}
	memcpy(words, scratch, sizeof words);
	words[i % WORDS] ^= i;
}

/* Nearest neighbour by Hamming distance, as image deduplication searches. */
static void hamming(uint64_t i)
{
	uint64_t want = words[i % WORDS], best = 64;
	for (int n = 0; n < WORDS; n++) {
		uint64_t d = __builtin_popcountll(words[n] ^ want);
		if (d && d < best)
			best = d;
	}
	sink = best;
}

/* A 64-bit Galois shift register, as a scrambler of radio or disk data. */
static void lfsr(uint64_t i)
{
	uint64_t s = i + 1;
	for (int n = 0; n < 1 << 24; n++)
		s = s >> 1 ^ (-(s & 1) & 0xd800000000000000);
	sink = s;
}

/* The N queens as bit masks. */
static uint64_t place(uint32_t cols, uint32_t left, uint32_t right, uint32_t all)
{
	uint64_t found = cols == all;
	for (uint32_t free = all & ~(cols | left | right); free; free &= free - 1) {
		uint32_t bit = free & -free;
		found += place(cols | bit, (left | bit) << 1, (right | bit) >> 1, all);
	}
	return found;
}

static void queens(uint64_t i)
{
	sink = place(0, 0, 0, (1u << (12 + i % 3)) - 1);
}

/* Parity of a RAID stripe: P is xor, Q a product in GF(2^8), eight bytes at a time. */
static void raid6(uint64_t i)
{
	uint64_t p = 0, q = 0;
	for (int n = 0; n < WORDS; n++) {
		uint64_t high = q & 0x8080808080808080;
		q = (q << 1 & 0xfefefefefefefefe) ^ (((high << 1) - (high >> 7)) & 0x1d1d1d1d1d1d1d1d);
		p ^= words[n];
		q ^= words[n];
		scratch[n] = p ^ q;
	}
	sink = scratch[i % WORDS];
}

/* Length of Collatz sequences. */
static void collatz(uint64_t i)
{
	for (uint64_t n = i << 16, end = n + 65536; n < end; n++)
		for (uint64_t x = n | 1; x > 1; x = x & 1 ? 3 * x + 1 : x >> 1)
			sink++;
}

/* Morton codes: the interleaved bits that order points in space. */
static void morton(uint64_t i)
{
	for (int n = 0; n < WORDS; n++) {
		uint64_t x = words[n] & 0xffffffff;
		x = (x | x << 16) & 0x0000ffff0000ffff;
		x = (x | x << 8) & 0x00ff00ff00ff00ff;
		x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
		x = (x | x << 2) & 0x3333333333333333;
		scratch[n] = (x | x << 1) & 0x5555555555555555;
	}
	sink = scratch[i % WORDS];
}

/* A hash table of 64-bit keys (splitmix64's finalizer), as any program has. */
static void table(uint64_t i)
{
	memset(scratch, 0, sizeof scratch);
	for (uint64_t n = 0; n < WORDS / 2; n++) {
		uint64_t x = n + i + 1;
		x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
		x = (x ^ x >> 27) * 0x94d049bb133111eb;
		uint64_t slot = (x ^ x >> 31) % WORDS;
		while (scratch[slot])
			slot = (slot + 1) % WORDS;
		scratch[slot] = n + i + 1;
	}
	sink = scratch[i % WORDS];
}

/* Edit distance by Myers' bit-parallel recurrence. */
static void edit(uint64_t i)
{
	uint64_t pv = ~0ull, mv = 0;
	for (int n = 0; n < WORDS; n++) {
		uint64_t eq = words[(n * 7 + i) % WORDS], xv = eq | mv;
		uint64_t xh = (((eq & pv) + pv) ^ pv) | eq;
		uint64_t ph = mv | ~(xh | pv), mh = pv & xh;
		ph = ph << 1 | 1;
		pv = mh << 1 | ~(xv | ph);
		mv = ph & xv;
	}
	sink = pv;
}

static const struct {
	const char *name;
	void (*step)(uint64_t i);
} modes[] = {
	{ "pi", pi },	      { "xoshiro", xoshiro }, { "life", life },	    { "hamming", hamming },
	{ "lfsr", lfsr },     { "queens", queens },   { "raid6", raid6 },   { "collatz", collatz },
	{ "morton", morton }, { "table", table },     { "edit", edit },
};

int main(int argc, char **argv)
{
	uint64_t s = 88172645463325252;
	for (int n = 0; n < WORDS; n++)
		words[n] = xorshift(&s);
	for (size_t m = 0; argc > 1 && m < sizeof modes / sizeof *modes; m++)
		if (!strcmp(argv[1], modes[m].name))
			for (uint64_t i = 0;; i++)
				modes[m].step(i);
	fprintf(stderr, "usage: loops MODE\n");
	return 2;
}
