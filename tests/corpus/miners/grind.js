// Grinds a nonce with a hash of the crate in `grind`, compiled to WebAssembly: the
// loop over the nonces is in there too, as in a page's miner.
//
// Usage: grind.js MODULE NAME
"use strict";
const fs = require("fs");
const { mineBy } = require("./stratum.js");

// Nonces in a call at most: of slow hashes a call takes longer than of quick ones.
const MOST = 4096;

async function main(file, wanted) {
  const { instance } = await WebAssembly.instantiate(fs.readFileSync(file), {});
  const { memory, header, choose, grind, name } = instance.exports;
  const at = header();
  const bytes = (length) => new Uint8Array(memory.buffer, at, length);
  let number = 0;
  for (let length; (length = name(number)) > 0; number += 1) {
    if (Buffer.from(bytes(length)).toString() === wanted) break;
  }
  if (!choose(number)) throw new Error(`no hash is called ${wanted}`);
  let count = 1;
  await mineBy((work, nonce, limit) => {
    bytes(80).set(work);
    const begun = Date.now();
    const found = grind(nonce, count, limit);
    // In some milliseconds the connection is to have its turn.
    if (Date.now() - begun < 5 && count < MOST) count *= 2;
    return found < 0n ? { tried: count } : { tried: Number(found) - nonce + 1, found: Number(found) };
  });
}

main(...process.argv.slice(2));
