// Work of a JIT that is not hashing: `node work.js MODE` runs MODE until it is killed.
'use strict';
const fs = require('fs');

const text = (bytes) => fs.readFileSync('text').subarray(0, bytes).toString('latin1');

const modes = {
  sort: () => () => Array.from({ length: 200000 }, Math.random).sort((a, b) => a - b),
  json: () => {
    const rows = Array.from({ length: 2000 }, (_, n) => ({ n, name: `row ${n}`, tags: ['a', 'b', n / 3] }));
    return () => JSON.parse(JSON.stringify(rows));
  },
  regex: () => {
    const page = text(1 << 20);
    return () => page.match(/\b([a-z]+)\s+\1\b|[0-9a-f]{8,}/g);
  },
  map: () => (i) => {
    const seen = new Map();
    for (let n = 0; n < 100000; n++) seen.set((n * 2654435761 + i) >>> 0, n);
  },
  // 32-bit integers in typed arrays: shifts and xors, in JIT code.
  xorshift: () => (i) => {
    let s = i | 1;
    for (let n = 0; n < 1e7; n++) {
      s ^= s << 13;
      s ^= s >>> 17;
      s ^= s << 5;
    }
    return s;
  },
  sieve: () => () => {
    const composite = new Uint8Array(2000000);
    for (let p = 2; p * p < composite.length; p++) {
      if (!composite[p]) for (let n = p * p; n < composite.length; n += p) composite[n] = 1;
    }
  },
  image: () => {
    const pixels = new Uint32Array(1 << 20).fill(0x80402010);
    return (i) => {
      for (let n = 1; n < pixels.length; n++) {
        const a = pixels[n - 1];
        const b = pixels[n];
        pixels[n] = (((a ^ b) & 0xfefefefe) >>> 1) + (a & b) + i;
      }
    };
  },
  bigint: () => () => {
    let x = 1n;
    for (let n = 1n; n < 3000n; n++) x *= n;
    return x.toString();
  },
  float: () => () => {
    let sum = 0;
    for (let n = 1; n < 1e7; n++) sum += Math.sin(n) / Math.sqrt(n);
    return sum;
  },
  gzip: () => {
    const page = fs.readFileSync('text').subarray(0, 1 << 22);
    return () => require('zlib').gzipSync(page);
  },
  terser: async () => {
    const { minify_sync: minify } = require('terser');
    const source = fs.readFileSync(require.resolve('terser'), 'utf8');
    return () => minify(source);
  },
  // SQLite compiled to WebAssembly.
  'wasm-sqlite': async () => {
    const sql = await require('sql.js')();
    return () => {
      const db = new sql.Database();
      db.run('CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)');
      for (let n = 0; n < 5000; n++) db.run('INSERT INTO t VALUES (?, ?)', [n, `value ${n * 7919}`]);
      db.exec('SELECT count(*), max(t.b) FROM t JOIN t AS u ON u.a = t.a * 3 % 5000 ORDER BY 1');
      db.close();
    };
  },
};

(async () => {
  const step = await modes[process.argv[2]]();
  for (let i = 0; ; i++) step(i);
})();
