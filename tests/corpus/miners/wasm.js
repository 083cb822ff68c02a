// Grinds a nonce with a hash of the npm package hash-wasm (WebAssembly), as a
// miner in node or a web page does, until killed.
//
// Usage: wasm.js ALGORITHM
"use strict";
const wasm = require("hash-wasm");
const { mine } = require("./stratum.js");

// Digests that are reset and used again: all but the call is WebAssembly.
const digests = {
  sha256d: () => twice(wasm.createSHA256()),
  sha512d: () => twice(wasm.createSHA512()),
  sha3d: () => twice(wasm.createSHA3(256)),
  keccak: () => once(wasm.createKeccak(256)),
  blake2b: () => once(wasm.createBLAKE2b(256)),
  blake2s: () => once(wasm.createBLAKE2s(256)),
  blake3: () => once(wasm.createBLAKE3(256)),
  whirlpool: () => twice(wasm.createWhirlpool()),
  sm3: () => twice(wasm.createSM3()),
};

// Slow ones: a call is hundreds of microseconds of WebAssembly.
const binary = { outputType: "binary" };
const slow = {
  scrypt: (header) =>
    wasm.scrypt({ password: header, salt: header, costFactor: 1024, blockSize: 1, parallelism: 1, hashLength: 32, ...binary }),
  argon2id: (header) =>
    wasm.argon2id({ password: header, salt: header, parallelism: 1, iterations: 3, memorySize: 512, hashLength: 32, ...binary }),
  argon2d: (header) =>
    wasm.argon2d({ password: header, salt: header, parallelism: 1, iterations: 1, memorySize: 16000, hashLength: 32, ...binary }),
};

async function once(hasher) {
  const hash = await hasher;
  return (header) => hash.init().update(header).digest("binary");
}

async function twice(hasher) {
  const hash = await hasher;
  const digest = (data) => hash.init().update(data).digest("binary");
  return (header) => digest(digest(header));
}

async function main(name) {
  await mine(slow[name] || (await digests[name]()));
}

main(process.argv[2]);
