-- Integer and text work of a script that LuaJIT compiles: `luajit loops.lua MODE` runs MODE
-- until it is killed.
local bit = require("bit")
local rol, bxor, band, rshift, tobit = bit.rol, bit.bxor, bit.band, bit.rshift, bit.tobit

local modes = {}

-- A hash of strings as caches shard by it (Jenkins' one at a time).
function modes.shard()
  local sum = 0
  for n = 1, 20000 do
    local key = "object:" .. n
    local h = 0
    for i = 1, #key do
      h = tobit(h + key:byte(i))
      h = tobit(h + bit.lshift(h, 10))
      h = bxor(h, rshift(h, 6))
    end
    h = tobit(h + bit.lshift(h, 3))
    h = bxor(h, rshift(h, 11))
    sum = band(sum + h, 0xffff)
  end
  return sum
end

-- xoshiro128**, as a game draws numbers.
function modes.xoshiro()
  local a, b, c, d, sum = 1, 2, 3, 4, 0
  for _ = 1, 1e7 do
    sum = bxor(sum, tobit(rol(tobit(b * 5), 7) * 9))
    local t = bit.lshift(b, 9)
    c, d = bxor(c, a), bxor(d, b)
    b, a = bxor(b, c), bxor(a, d)
    c, d = bxor(c, t), rol(d, 11)
  end
  return sum
end

function modes.sieve()
  local composite, count = {}, 0
  for n = 2, 1000000 do
    if not composite[n] then
      count = count + 1
      for m = n * n, 1000000, n do composite[m] = true end
    end
  end
  return count
end

function modes.words()
  local counts = {}
  for n = 1, 200000 do
    local word = ("w%d"):format(n * 7919 % 5003)
    counts[word] = (counts[word] or 0) + 1
  end
  return counts
end

local step = modes[arg[1]]
while true do step() end
