// A miner in WebAssembly: one thread that hashes an 80-byte header, nonce by
// nonce, with the published library hash-wasm. Runs in node (ALGORITHM is the
// first argument) and, behind the library's own text, in a Web Worker (its
// name is the ALGORITHM).

"use strict";

const inNode = typeof require === "function";
const library = inNode ? require("hash-wasm") : self.hashwasm;
const algorithm = inNode ? process.argv[2] : self.name;

// The library makes a new instance of its module for each hash, which takes
// longer than the hash. A miner keeps the one that it has, and so does this one:
// the library gets it back with the memory that it had to ask for empty again.
const instantiate = WebAssembly.instantiate;
const kept = new Map();
WebAssembly.instantiate = async (module, imports) => {
  const memory = (instance) => new Uint8Array(instance.exports.memory.buffer);
  if (!kept.has(module)) {
    const instance = await instantiate(module, imports);
    kept.set(module, { instance, size: memory(instance).length });
  }
  const { instance, size } = kept.get(module);
  memory(instance).fill(0, size);
  return instance;
};

const hashes = {
  // TurtleCoin's Chukwa: 512 KiB, three passes, the salt is the header's start.
  argon2: (header) =>
    library.argon2id({
      password: header,
      salt: header.subarray(0, 16),
      memorySize: 512,
      iterations: 3,
      parallelism: 1,
      hashLength: 32,
      outputType: "binary",
    }),
  // Litecoin: N = 1024, r = p = 1, the salt is the header.
  scrypt: (header) =>
    library.scrypt({
      password: header,
      salt: header,
      costFactor: 1024,
      blockSize: 1,
      parallelism: 1,
      hashLength: 32,
      outputType: "binary",
    }),
};

async function mine() {
  const header = new Uint8Array(80).fill(7);
  const nonce = new DataView(header.buffer, 76);
  for (let number = 0; ; number += 1) {
    nonce.setUint32(0, number, true);
    await hashes[algorithm](header);
    if (number === 0) {
      console.log(JSON.stringify({ event: "first-hash", algorithm }));
    }
  }
}

mine();
