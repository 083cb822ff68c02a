// A small HTTP server that checks passwords or stores uploads: `node server.js MODE PORT`.
// As server.py; load.py is the client of both. It listens on loopback until it is killed.
'use strict';
const crypto = require('crypto');
const http = require('http');
const { promisify } = require('util');

const scrypt = promisify(crypto.scrypt);
const pbkdf2 = promisify(crypto.pbkdf2);

// A verifier that is a derived key.
async function derived(derive) {
  const stored = await derive('password');
  return async (password) => crypto.timingSafeEqual(stored, await derive(password));
}

// Packages from npm are loaded only by the mode that asks for them.
const logins = {
  argon2id: async () => {
    const argon2 = require('argon2');
    const stored = await argon2.hash('password', { memoryCost: 19456, timeCost: 2, parallelism: 1 });
    return (password) => argon2.verify(stored, password);
  },
  'argon2-rust': async () => {
    const argon2 = require('@node-rs/argon2');
    const stored = await argon2.hash('password', { memoryCost: 19456, timeCost: 2, parallelism: 1 });
    return (password) => argon2.verify(stored, password);
  },
  // The same in WebAssembly, for hosts without a native build.
  'argon2-wasm': async () => {
    const { argon2id, argon2Verify } = require('hash-wasm');
    const settings = { salt: crypto.randomBytes(16), iterations: 2, memorySize: 19456, parallelism: 1, hashLength: 32 };
    const hash = await argon2id({ password: 'password', ...settings, outputType: 'encoded' });
    return (password) => argon2Verify({ password, hash });
  },
  bcrypt: async () => {
    const bcrypt = require('@node-rs/bcrypt');
    const stored = await bcrypt.hash('password', { cost: 10 });
    return (password) => bcrypt.compare(password, stored);
  },
  bcryptjs: async () => {
    const bcrypt = require('bcryptjs');
    const stored = await bcrypt.hash('password', 10);
    return (password) => bcrypt.compare(password, stored);
  },
  scrypt: () => derived((password) => scrypt(password, 'salt', 64, { N: 16384, r: 8, p: 1 })),
  pbkdf2: () => derived((password) => pbkdf2(password, 'salt', 100000, 32, 'sha512')),
};

async function main(mode, port) {
  const check = mode in logins ? await logins[mode]() : null;
  const answer = (response, code, text) => response.writeHead(code).end(text);
  const routes = {
    '/login': async (request, response) => {
      let text = '';
      for await (const piece of request) text += piece;
      const good = await check(JSON.parse(text).password);
      answer(response, good ? 200 : 403, good ? 'yes' : 'no');
    },
    '/upload': async (request, response) => {
      const digest = crypto.createHash(mode);
      for await (const piece of request) digest.update(piece);
      answer(response, 200, digest.digest('hex'));
    },
    '/token': async (request, response) => {
      let text = '';
      for await (const piece of request) text += piece;
      const [head, body, signature] = text.split('.');
      const wanted = crypto.createHmac(mode, 'secret').update(`${head}.${body}`).digest('base64url');
      const good = wanted === signature.replace(/=+$/, '');
      answer(response, good ? 200 : 403, good ? 'yes' : 'no');
    },
  };
  http
    .createServer((request, response) => {
      routes[request.url](request, response).catch(() => response.destroy());
    })
    .listen(Number(port), '127.0.0.1');
}

main(...process.argv.slice(2));
