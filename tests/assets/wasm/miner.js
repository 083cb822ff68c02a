// A miner in WebAssembly: one thread that hashes an 80-byte header, nonce by
// nonce, with the published library hash-wasm. Runs in node (ALGORITHM is the
// first argument) and, behind the library's own text, in a Web Worker (its
// name is the ALGORITHM). It mines at a pool: in node at POOL of the environment
// (tls://HOST:PORT), in a worker at the constant POOL (wss://HOST:PORT) that the
// page puts before the text. Any certificate will do.

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

// The pool's newest work, and what is to be done with messages.
const work = { header: null, job: "", time: "", limit: 0, send: null, sent: 0 };

function say(method, params) {
  work.sent += 1;
  work.send(JSON.stringify({ id: work.sent, method, params }));
}

function take(text) {
  const { method, params } = JSON.parse(text);
  if (method === "mining.set_difficulty") {
    work.limit = Math.min(0xffffffff, Math.floor(1 / params[0]));
  } else if (method === "mining.notify") {
    const [job, previous, , , branches, version, bits, time] = params;
    const digits = version + previous + branches[0] + time + bits + "00000000";
    work.header = Uint8Array.from(digits.match(/../g), (two) => parseInt(two, 16));
    work.job = job;
    work.time = time;
  }
}

function hello() {
  say("mining.subscribe", ["hash-wasm/1"]);
  say("mining.authorize", ["page", "x"]);
}

function connect() {
  if (!inNode) {
    const socket = new WebSocket(POOL);
    work.send = (text) => socket.send(text);
    socket.onopen = hello;
    socket.onmessage = (message) => take(message.data);
    return;
  }
  const { hostname, port } = new URL(process.env.POOL);
  const options = { host: hostname, port, rejectUnauthorized: false };
  const socket = require("tls").connect(options, hello);
  work.send = (text) => socket.write(text + "\n");
  let rest = "";
  socket.on("data", (data) => {
    const lines = (rest + data).split("\n");
    rest = lines.pop();
    lines.forEach(take);
  });
}

// Lets messages come and go: promises alone never do, nor do ports in node.
function breathe() {
  if (inNode) {
    return new Promise((done) => setImmediate(done));
  }
  const { port1, port2 } = new MessageChannel();
  return new Promise((done) => {
    port1.onmessage = done;
    port2.postMessage(0);
  });
}

async function mine() {
  connect();
  while (work.header === null) {
    await new Promise((done) => setTimeout(done, 20));
  }
  let header;
  let nonce;
  for (let number = 0; ; number += 1) {
    if (number % 16 === 0) {
      await breathe();
    }
    if (header !== work.header) {
      header = work.header;
      nonce = new DataView(header.buffer, 76);
    }
    nonce.setUint32(0, number, true);
    const digest = await hashes[algorithm](header);
    if (new DataView(digest.buffer, digest.byteOffset).getUint32(0, true) <= work.limit) {
      const told = number.toString(16).padStart(8, "0");
      say("mining.submit", ["page", work.job, "00000000", work.time, told]);
    }
    if (number === 0) {
      console.log(JSON.stringify({ event: "first-hash", algorithm }));
    }
  }
}

mine();
