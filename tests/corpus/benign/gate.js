// A client of a proof-of-work gate, as pages before a web site are (Anubis and its kind):
// `node gate.js MODE SECONDS [WORKERS]` answers challenges for that long, then ends.
// A challenge is a text; its answer is a number with which SHA-256 begins with zero bits.
'use strict';
const crypto = require('crypto');
const { Worker, isMainThread, workerData } = require('worker_threads');

// Zero bits that an answer's digest begins with: some seconds of work.
const BITS = 20;
// Numbers tried between two looks at the clock.
const PIECE = 1024;

// SHA-256 of a message of less than 56 bytes, in plain JavaScript.
const K = new Int32Array(64);
const FIRST = new Int32Array(8);
(() => {
  let count = 0;
  for (let n = 2; count < 64; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false;
    if (!prime) continue;
    if (count < 8) FIRST[count] = (Math.sqrt(n) % 1) * 4294967296;
    K[count++] = (Math.cbrt(n) % 1) * 4294967296;
  }
})();
const W = new Int32Array(64);
const rotr = (x, n) => (x >>> n) | (x << (32 - n));

function sha256(message) {
  W.fill(0, 0, 16);
  for (let n = 0; n < message.length; n++) W[n >> 2] |= message[n] << (24 - 8 * (n & 3));
  W[message.length >> 2] |= 0x80 << (24 - 8 * (message.length & 3));
  W[15] = message.length * 8;
  for (let n = 16; n < 64; n++) {
    const [p, q] = [W[n - 15], W[n - 2]];
    W[n] = (W[n - 16] + (rotr(p, 7) ^ rotr(p, 18) ^ (p >>> 3)) + W[n - 7] + (rotr(q, 17) ^ rotr(q, 19) ^ (q >>> 10))) | 0;
  }
  let [a, b, c, d, e, f, g, h] = FIRST;
  for (let n = 0; n < 64; n++) {
    const s = (h + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g)) + K[n] + W[n]) | 0;
    const t = ((rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + s) | 0, c, b, a, (s + t) | 0];
  }
  return (a + FIRST[0]) >>> 0;
}

const top = (digest) => new DataView(digest.buffer, digest.byteOffset).getUint32(0);

// What computes the first word of a digest, by mode.
const modes = {
  crypto: () => (text) => crypto.createHash('sha256').update(text).digest().readUInt32BE(),
  subtle: () => async (text) => top(new Uint8Array(await crypto.webcrypto.subtle.digest('SHA-256', Buffer.from(text)))),
  js: () => (text) => sha256(Buffer.from(text)),
  wasm: async () => {
    const hasher = await require('hash-wasm').createSHA256();
    return (text) => top(hasher.init().update(text).digest('binary'));
  },
};

async function solve(mode, until, first, step) {
  const word = await modes[mode]();
  for (let challenge = 0; Date.now() < until; challenge++) {
    for (let n = first, found = false; !found && Date.now() < until; ) {
      for (let tried = 0; tried < PIECE; tried++, n += step) {
        let value = word(`challenge-${challenge}-${n}`);
        if (value instanceof Promise) value = await value;
        if (value >>> (32 - BITS) === 0) {
          found = true;
          break;
        }
      }
    }
  }
}

if (isMainThread) {
  const [mode, seconds, workers = '0'] = process.argv.slice(2);
  const until = Date.now() + Number(seconds) * 1000;
  if (Number(workers) === 0) solve(mode, until, 0, 1);
  for (let first = 0; first < Number(workers); first++) {
    new Worker(__filename, { workerData: { mode, until, first, step: Number(workers) } });
  }
} else {
  const { mode, until, first, step } = workerData;
  solve(mode, until, first, step);
}
