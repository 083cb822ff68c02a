// Hashing a node program does for a living: `node hashes.js MODE` runs MODE until it is killed.
// node carries its own OpenSSL, so the hash is code of the `node` binary, not of libcrypto.
'use strict';
const crypto = require('crypto');
const fs = require('fs');

const MIB = Buffer.alloc(1 << 20, 'unjack');

// Digest of 1 MiB buffers, as of an upload.
const big = (name) => () => crypto.createHash(name).update(MIB).digest();

// Digests of short strings, as of cache keys.
const small = (name) => (i) => {
  for (let n = 0; n < 10000; n++) crypto.createHash(name).update(`user:${i}:${n}`).digest('hex');
};

// Encryption of 1 MiB with an AEAD, as of a backup.
const seal = (name) => (i) => {
  const cipher = crypto.createCipheriv(name, Buffer.alloc(32, i & 255), Buffer.alloc(12), { authTagLength: 16 });
  cipher.update(MIB);
  cipher.final();
};

// Packages from npm are loaded only by the mode that asks for them.
const modes = {
  'sha256-big': () => big('sha256'),
  'sha512-big': () => big('sha512'),
  'sha3-big': () => big('sha3-256'),
  'md5-big': () => big('md5'),
  'blake2b-big': () => big('blake2b512'),
  'sha256-small': () => small('sha256'),
  'aes-gcm': () => seal('aes-256-gcm'),
  'chacha20': () => seal('chacha20-poly1305'),
  pbkdf2: () => (i) => crypto.pbkdf2Sync(`password${i}`, 'salt', 210000, 64, 'sha512'),
  scrypt: () => (i) => crypto.scryptSync(`password${i}`, 'salt', 64, { N: 16384, r: 8, p: 5 }),
  rsa: () => () => crypto.generateKeyPairSync('rsa', { modulusLength: 3072 }),
  // A hash compiled to WebAssembly that checks a file: what wasm miners are built of, at honest work.
  'wasm-sha256': () => wasm('createSHA256'),
  'wasm-blake3': () => wasm('createBLAKE3'),
  'wasm-xxhash64': () => wasm('createXXHash64'),
  // Hashes written in JavaScript, compiled by the JIT.
  'noble-sha256': () => noble('sha2', 'sha256'),
  'noble-blake3': () => noble('blake3', 'blake3'),
  bcryptjs: () => {
    const bcrypt = require('bcryptjs');
    return (i) => bcrypt.hashSync(`password${i}`, 12);
  },
};

async function wasm(make) {
  const hasher = await require('hash-wasm')[make]();
  return () => {
    hasher.init();
    hasher.update(MIB);
    hasher.digest();
  };
}

function noble(module, name) {
  const hash = require(`@noble/hashes/${module}`)[name];
  return () => hash(MIB);
}

(async () => {
  const step = await modes[process.argv[2]]();
  for (let i = 0; ; i++) step(i);
})();
