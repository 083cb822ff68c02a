/* Grinds a nonce in all lanes of AVX-512, with Intel's multi-buffer library, until
 * killed. Linked with its static archive, as a miner is.
 *
 * Usage: lanes sha256d|sha512d|sha1d
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <intel-ipsec-mb.h>

/* Messages under way at a time: the most lanes are sixteen. */
#define MESSAGES 64

struct hash {
    const char *name;
    IMB_HASH_ALG algorithm;
    unsigned size;
};

static const struct hash HASHES[] = {
    { "sha256d", IMB_AUTH_SHA_256, 32 },
    { "sha512d", IMB_AUTH_SHA_512, 64 },
    { "sha1d", IMB_AUTH_SHA_1, 20 },
};

/* Hashes as many messages of one length. */
static void hash_all(IMB_MGR *manager, const struct hash *hash, const uint8_t *from,
                     size_t length, size_t stride, uint8_t to[][64])
{
    for (int n = 0; n < MESSAGES; n++) {
        IMB_JOB *job = IMB_GET_NEXT_JOB(manager);
        memset(job, 0, sizeof(*job));
        job->cipher_mode = IMB_CIPHER_NULL;
        job->cipher_direction = IMB_DIR_ENCRYPT;
        job->chain_order = IMB_ORDER_HASH_CIPHER;
        job->hash_alg = hash->algorithm;
        job->src = from + n * stride;
        job->msg_len_to_hash_in_bytes = length;
        job->auth_tag_output = to[n];
        job->auth_tag_output_len_in_bytes = hash->size;
        IMB_SUBMIT_JOB(manager);
    }
    while (IMB_FLUSH_JOB(manager) != NULL)
        ;
}

int main(int argc, char **argv)
{
    static uint8_t headers[MESSAGES][80], inner[MESSAGES][64], outer[MESSAGES][64];
    const struct hash *hash = NULL;

    for (size_t n = 0; n < sizeof(HASHES) / sizeof(*HASHES); n++)
        if (argc == 2 && strcmp(argv[1], HASHES[n].name) == 0)
            hash = &HASHES[n];
    if (hash == NULL) {
        fprintf(stderr, "usage: lanes sha256d|sha512d|sha1d\n");
        return 2;
    }
    /* Without the SHA instructions: where there are, they are quicker than lanes. */
    IMB_MGR *manager = alloc_mb_mgr(IMB_FLAG_SHANI_OFF);
    if (manager == NULL || !(manager->features & IMB_FEATURE_AVX512_SKX)) {
        fprintf(stderr, "this processor lacks AVX-512\n");
        return 1;
    }
    init_mb_mgr_avx512(manager);
    memset(headers, 0x5a, sizeof(headers));
    for (uint32_t nonce = 0;; nonce += MESSAGES) {
        for (uint32_t n = 0; n < MESSAGES; n++) {
            uint32_t mine = nonce + n;
            memcpy(&headers[n][76], &mine, sizeof(mine));
        }
        hash_all(manager, hash, headers[0], sizeof(*headers), sizeof(*headers), inner);
        hash_all(manager, hash, inner[0], hash->size, sizeof(*inner), outer);
        for (int n = 0; n < MESSAGES; n++) {
            uint32_t word;
            memcpy(&word, outer[n], sizeof(word));
            if (word == 0)
                printf("found %" PRIu32 "\n", nonce + n);
        }
    }
}
