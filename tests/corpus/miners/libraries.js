// Grinds a nonce with a hash of other npm packages, most of them WebAssembly, each as
// its own wrapper calls it, until killed.
//
// Usage: libraries.js LIBRARY HASH
"use strict";
const fs = require("fs");
const { mine } = require("./stratum.js");

const libraries = {
  // Dash's X11, sphlib compiled by emscripten.
  "wasm-x11-hash": async () => {
    const x11 = await require("wasm-x11-hash")();
    return { x11: (header) => x11.digest(header) };
  },
  // The reference implementation, compiled by emscripten.
  "argon2-browser": async () => {
    // Its loader takes fetch for a browser's, and that of node takes no path.
    delete globalThis.fetch;
    const argon2 = require("argon2-browser");
    const hash = (type, time, mem) => async (header) =>
      (await argon2.hash({ pass: header, salt: header, type, time, mem, parallelism: 1, hashLen: 32 })).hash;
    return {
      argon2d: hash(argon2.ArgonType.Argon2d, 1, 16000),
      argon2id: hash(argon2.ArgonType.Argon2id, 3, 512),
    };
  },
  // The reference implementation as node's addon: its memory is allocated for each hash.
  argon2: async () => {
    const argon2 = require("argon2");
    const hash = (type, timeCost, memoryCost) => (header) =>
      argon2.hash(header, { raw: true, salt: header.subarray(0, 16), type, timeCost, memoryCost, parallelism: 1, hashLength: 32 });
    return { argon2d: hash(argon2.argon2d, 1, 16000), argon2id: hash(argon2.argon2id, 1, 2048) };
  },
  // OpenPGP.js's, whose memory is filled by JavaScript around a core with SIMD.
  argon2id: async () => {
    const setup = (await import("file://" + require.resolve("argon2id/lib/setup.js"))).default;
    const load = (name) => (imports) =>
      WebAssembly.instantiate(fs.readFileSync(require.resolve(`argon2id/dist/${name}.wasm`)), imports);
    const argon2id = await setup(load("simd"), load("no-simd"));
    const settings = { parallelism: 1, passes: 3, memorySize: 512, tagLength: 32 };
    return { argon2id: (header) => argon2id({ password: header, salt: header.subarray(0, 16), ...settings }) };
  },
  // libsodium, compiled by emscripten.
  sodium: async () => {
    const sodium = require("libsodium-wrappers-sumo");
    await sodium.ready;
    return {
      argon2id: (header) =>
        sodium.crypto_pwhash(32, header, header.subarray(0, 16), 1, 512 << 10, sodium.crypto_pwhash_ALG_ARGON2ID13),
      scrypt: (header) => sodium.crypto_pwhash_scryptsalsa208sha256_ll(header, header, 1024, 1, 1, 32),
      blake2b: (header) => sodium.crypto_generichash(32, header),
      sha512d: (header) => sodium.crypto_hash_sha512(sodium.crypto_hash_sha512(header)),
      sha256d: (header) => sodium.crypto_hash_sha256(sodium.crypto_hash_sha256(header)),
    };
  },
};

async function main(library, hash) {
  await mine((await libraries[library]())[hash]);
}

main(...process.argv.slice(2));
