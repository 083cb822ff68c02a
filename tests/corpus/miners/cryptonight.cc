// CryptoNight's variants of npm's cryptonight-hashing, which are those of XMRig, each as a
// function of C: void NAME(header, length, digest). Built without the package's wrapper,
// which is too old for node 12 and later; shared.py calls it.
//
// `cn_r` is CryptoNight-R's kind: its main loop calls a short program of random integer
// instructions that is compiled for each piece of work to anonymous memory. The program's
// instructions are drawn otherwise than Monero's are, so its digests are no Monero's.
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <sys/mman.h>

#include "crypto/CryptoNight_x86.h"

static cryptonight_ctx *context()
{
	static cryptonight_ctx *ctx;
	if (!ctx) {
		ctx = static_cast<cryptonight_ctx *>(_mm_malloc(sizeof *ctx, 16));
		ctx->memory = static_cast<uint8_t *>(_mm_malloc(xmrig::CRYPTONIGHT_HEAVY_MEMORY, 4096));
	}
	return ctx;
}

#define SINGLE(name, algo, soft, variant)                                                      \
	extern "C" void name(const uint8_t *header, size_t length, uint8_t *digest)            \
	{                                                                                      \
		cryptonight_ctx *ctx = context();                                              \
		cryptonight_single_hash<xmrig::algo, soft, xmrig::variant>(header, length,     \
									   digest, &ctx);      \
	}

SINGLE(cn_0, CRYPTONIGHT, false, VARIANT_0)
SINGLE(cn_soft, CRYPTONIGHT, true, VARIANT_0)
SINGLE(cn_2, CRYPTONIGHT, false, VARIANT_2)
SINGLE(cn_xtl, CRYPTONIGHT, false, VARIANT_XTL)
SINGLE(cn_msr, CRYPTONIGHT, false, VARIANT_MSR)
SINGLE(cn_rto, CRYPTONIGHT, false, VARIANT_RTO)
SINGLE(cn_lite, CRYPTONIGHT_LITE, false, VARIANT_1)
SINGLE(cn_lite_soft, CRYPTONIGHT_LITE, true, VARIANT_1)
SINGLE(cn_heavy, CRYPTONIGHT_HEAVY, false, VARIANT_0)
SINGLE(cn_heavy_xhv, CRYPTONIGHT_HEAVY, false, VARIANT_XHV)
SINGLE(cn_heavy_tube, CRYPTONIGHT_HEAVY, false, VARIANT_TUBE)
SINGLE(cn_heavy_soft, CRYPTONIGHT_HEAVY, true, VARIANT_0)

#define ASSEMBLED(name, assembly)                                                              \
	extern "C" void name(const uint8_t *header, size_t length, uint8_t *digest)            \
	{                                                                                      \
		cryptonight_ctx *ctx = context();                                              \
		cryptonight_single_hash_asm<xmrig::CRYPTONIGHT, xmrig::VARIANT_2,              \
					    xmrig::assembly>(header, length, digest, &ctx);    \
	}

ASSEMBLED(cn_2_intel, ASM_INTEL)
ASSEMBLED(cn_2_ryzen, ASM_RYZEN)

namespace {

constexpr size_t MEMORY = xmrig::CRYPTONIGHT_MEMORY;
constexpr uint64_t MASK = xmrig::CRYPTONIGHT_MASK;
// Instructions of a program: Monero's have 60 to 69.
constexpr int INSTRUCTIONS = 66;
// At most 9 bytes of code each, and the loads and stores of the registers.
constexpr size_t CODE = 4096;

using Program = void (*)(uint32_t *registers);

// The processor's numbers of R0 to R8; ecx holds amounts of rotations.
constexpr int REGISTERS[9] = { 0, 2, 6, 8, 9, 10, 11, 3, 5 };

struct Emitter {
	uint8_t *at;

	void bytes(std::initializer_list<int> list)
	{
		for (int byte : list)
			*at++ = static_cast<uint8_t>(byte);
	}

	// OPCODE reg, rm of 32 bits, both of them registers.
	void both(std::initializer_list<int> opcode, int reg, int rm)
	{
		bytes({ 0x40 | (reg >> 3) << 2 | rm >> 3 });
		bytes(opcode);
		bytes({ 0xc0 | (reg & 7) << 3 | (rm & 7) });
	}

	// A load or a store of a register at [rdi + 4 * number].
	void move(int opcode, int reg, int number)
	{
		bytes({ 0x40 | (reg >> 3) << 2, opcode, 0x47 | (reg & 7) << 3, number * 4 });
	}
};

Program compile(uint64_t seed)
{
	static uint8_t *code;
	if (!code)
		code = static_cast<uint8_t *>(mmap(nullptr, CODE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	mprotect(code, CODE, PROT_READ | PROT_WRITE);
	auto draw = [&seed](unsigned below) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		return static_cast<unsigned>(seed >> 33) % below;
	};
	Emitter emit{ code };
	emit.bytes({ 0x53, 0x55 }); // push rbx; push rbp
	for (int n = 0; n < 9; n++)
		emit.move(0x8b, REGISTERS[n], n);
	for (int n = 0; n < INSTRUCTIONS; n++) {
		int to = static_cast<int>(draw(4)), from = static_cast<int>(draw(9));
		if (from == to)
			from = 4 + to;
		const int dst = REGISTERS[to], src = REGISTERS[from];
		switch (draw(8)) {
		case 0:
		case 1:
		case 2:
			emit.both({ 0x0f, 0xaf }, dst, src); // imul dst, src
			break;
		case 3: {
			emit.both({ 0x01 }, src, dst); // add dst, src; add dst, constant
			emit.both({ 0x81 }, 0, dst);
			const uint32_t constant = draw(1u << 31);
			memcpy(emit.at, &constant, sizeof constant);
			emit.at += sizeof constant;
			break;
		}
		case 4:
			emit.both({ 0x29 }, src, dst); // sub dst, src
			break;
		case 5:
			emit.both({ 0x8b }, 1, src); // mov ecx, src; ror or rol dst, cl
			emit.both({ 0xd3 }, static_cast<int>(draw(2)), dst);
			break;
		default:
			emit.both({ 0x31 }, src, dst); // xor dst, src
		}
	}
	for (int n = 0; n < 4; n++)
		emit.move(0x89, REGISTERS[n], n);
	emit.bytes({ 0x5d, 0x5b, 0xc3 }); // pop rbp; pop rbx; ret
	mprotect(code, CODE, PROT_READ | PROT_EXEC);
	return reinterpret_cast<Program>(code);
}

__m128i *cell(uint8_t *memory, uint64_t at)
{
	return reinterpret_cast<__m128i *>(memory + at);
}

// Moves the three cells beside one; gives what they were, mixed.
__m128i shuffle(uint8_t *memory, uint64_t at, __m128i a, __m128i b, __m128i b1)
{
	const __m128i one = *cell(memory, at ^ 0x10), two = *cell(memory, at ^ 0x20), three = *cell(memory, at ^ 0x30);
	*cell(memory, at ^ 0x10) = _mm_add_epi64(three, b1);
	*cell(memory, at ^ 0x20) = _mm_add_epi64(one, b);
	*cell(memory, at ^ 0x30) = _mm_add_epi64(two, a);
	return _mm_xor_si128(_mm_xor_si128(one, two), three);
}

uint64_t pair(uint32_t low, uint32_t high)
{
	return low | static_cast<uint64_t>(high) << 32;
}

} // namespace

extern "C" void cn_r(const uint8_t *header, size_t length, uint8_t *digest)
{
	static uint64_t known;
	static Program program;
	// The start of the work, before the nonce: another for every block.
	uint64_t seed;
	memcpy(&seed, header + 7, sizeof seed);
	if (!program || seed != known)
		program = compile(known = seed);
	cryptonight_ctx *ctx = context();
	uint8_t *memory = ctx->memory;
	xmrig::keccak(header, length, ctx->state);
	cn_explode_scratchpad<xmrig::CRYPTONIGHT, MEMORY, false>(reinterpret_cast<__m128i *>(ctx->state), cell(memory, 0));
	uint64_t *h = reinterpret_cast<uint64_t *>(ctx->state);
	uint64_t al = h[0] ^ h[4], ah = h[1] ^ h[5];
	__m128i b = _mm_set_epi64x(h[3] ^ h[7], h[2] ^ h[6]), b1 = _mm_set_epi64x(h[9] ^ h[11], h[8] ^ h[10]);
	uint32_t r[9];
	memcpy(r, h + 12, 4 * sizeof *r);
	for (size_t n = 0; n < xmrig::CRYPTONIGHT_ITER; n++) {
		const __m128i a = _mm_set_epi64x(ah, al);
		uint64_t at = al & MASK;
		__m128i c = _mm_aesenc_si128(*cell(memory, at), a);
		c = _mm_xor_si128(c, shuffle(memory, at, a, b, b1));
		*cell(memory, at) = _mm_xor_si128(b, c);
		const uint64_t low = _mm_cvtsi128_si64(c);
		at = low & MASK;
		uint64_t cl = reinterpret_cast<uint64_t *>(memory + at)[0], ch = reinterpret_cast<uint64_t *>(memory + at)[1];
		cl ^= pair(r[0] + r[1], r[2] + r[3]);
		r[4] = static_cast<uint32_t>(al);
		r[5] = static_cast<uint32_t>(ah);
		r[6] = _mm_cvtsi128_si32(b);
		r[7] = _mm_cvtsi128_si32(b1);
		r[8] = _mm_cvtsi128_si32(_mm_srli_si128(b1, 8));
		program(r);
		al ^= pair(r[2], r[3]);
		ah ^= pair(r[0], r[1]);
		uint64_t high, product = __umul128(low, cl, &high);
		shuffle(memory, at, a, b, b1);
		al += high;
		ah += product;
		reinterpret_cast<uint64_t *>(memory + at)[0] = al;
		reinterpret_cast<uint64_t *>(memory + at)[1] = ah;
		al ^= cl;
		ah ^= ch;
		b1 = b;
		b = c;
	}
	cn_implode_scratchpad<xmrig::CRYPTONIGHT, MEMORY, false>(cell(memory, 0), reinterpret_cast<__m128i *>(ctx->state));
	xmrig::keccakf(h, 24);
	extra_hashes[ctx->state[0] & 3](ctx->state, 200, digest);
}
