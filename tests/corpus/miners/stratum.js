// A pool's work, for the miners beside this file that run in node.
//
// With POOL=HOST:PORT in the environment they mine there over Stratum version 1;
// without it they have one header that never changes. As stratum.py.
"use strict";
const crypto = require("crypto");
const net = require("net");

const sha256 = (data) => crypto.createHash("sha256").update(data).digest();
const twice = (data) => sha256(sha256(data));
const hex = (text) => Buffer.from(text, "hex");
const flip = (text) => hex(text).reverse();

// Milliseconds of hashing between two looks at the connection.
const PIECE = 50;

class Pool {
  constructor() {
    this.generation = 0;
    this.limit = 0;
    this.header = Buffer.alloc(80, 0x5a);
    this.count = 0;
    this.difficulty = 1;
  }

  // Connects and waits for work, if there is a pool.
  async open() {
    const address = process.env.POOL;
    if (!address) return;
    const [host, port] = address.split(":");
    this.socket = net.connect(Number(port), host);
    this.socket.on("close", () => process.exit(1));
    let text = "";
    const working = new Promise((work) => {
      this.socket.on("data", (data) => {
        const lines = (text + data).split("\n");
        text = lines.pop();
        for (const line of lines) this.take(JSON.parse(line));
        if (this.generation > 0) work();
      });
    });
    this.send("mining.subscribe", ["corpus/1"]);
    await working;
  }

  send(method, params) {
    this.count += 1;
    this.socket.write(JSON.stringify({ id: this.count, method, params }) + "\n");
  }

  take({ id, method, params, result }) {
    if (method === "mining.set_difficulty") this.difficulty = params[0];
    else if (method === "mining.notify") this.notify(...params);
    else if (id === 1) {
      [, this.extra, this.size] = result;
      this.send("mining.authorize", ["corpus", "x"]);
    }
  }

  // Builds the header of a block, as every miner does.
  notify(job, previous, first, second, branches, version, bits, time) {
    const extra = Buffer.alloc(4);
    extra.writeUInt32BE(this.generation);
    this.extra2 = extra.subarray(4 - this.size).toString("hex");
    let root = twice(hex(first + this.extra + this.extra2 + second));
    for (const branch of branches) root = twice(Buffer.concat([root, hex(branch)]));
    [this.job, this.time] = [job, time];
    this.limit = Math.min(0xffffffff, Math.floor(1 / this.difficulty));
    this.header = Buffer.concat([flip(version), hex(previous).swap32(), root, flip(time), flip(bits), Buffer.alloc(4)]);
    this.generation += 1;
  }

  // Tells of a nonce that is good enough.
  share(nonce) {
    if (!this.socket) return console.log("found", nonce);
    this.send("mining.submit", ["corpus", this.job, this.extra2, this.time, nonce.toString(16).padStart(8, "0")]);
  }
}

// Hashes header after header until killed. `search(header, nonce, limit)` tries some
// nonces from that one on, and gives how many, and the first that is good enough.
async function mineBy(search) {
  const pool = new Pool();
  await pool.open();
  let [generation, header, limit, nonce] = [-1, null, 0, 0];
  for (;;) {
    if (generation !== pool.generation) {
      [generation, limit] = [pool.generation, pool.limit];
      header = Buffer.from(pool.header);
    }
    const until = Date.now() + PIECE;
    do {
      const { tried, found } = await search(header, nonce, limit);
      if (found !== undefined) pool.share(found);
      nonce = (nonce + tried) >>> 0;
    } while (Date.now() < until);
    // What was said on the connection has its turn.
    await new Promise(setImmediate);
  }
}

// The same with a hash of a header, which gives bytes or a promise of them.
function mine(hash) {
  return mineBy(async (header, nonce, limit) => {
    header.writeUInt32LE(nonce, 76);
    let digest = hash(header);
    if (digest instanceof Promise) digest = await digest;
    const top = (digest[28] | (digest[29] << 8) | (digest[30] << 16) | (digest[31] << 24)) >>> 0;
    return top <= limit ? { tried: 1, found: nonce } : { tried: 1 };
  });
}

module.exports = { mine, mineBy };
