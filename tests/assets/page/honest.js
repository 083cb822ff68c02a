// Honest work of a page: sorts and sieves as fast as it can, and says so.

"use strict";

function round(seed) {
  const numbers = Array.from({ length: 50_000 }, (_, at) => (at * seed) % 65_537);
  numbers.sort((one, other) => one - other);
  const composite = new Uint8Array(100_000);
  for (let number = 2; number < composite.length; number += 1) {
    for (let at = number * number; at < composite.length; at += number) {
      composite[at] = 1;
    }
  }
  return numbers[0] + composite.indexOf(1);
}

for (let number = 1; ; number += 1) {
  for (let seed = 1; seed <= 50; seed += 1) {
    round(number * 100 + seed);
  }
  console.log(`honest-round ${number}`);
}
