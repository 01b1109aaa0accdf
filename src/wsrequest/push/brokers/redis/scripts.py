"""What the server does as one act, in Lua. Every key and channel of a topic is in one slot of a cluster.

A topic is a hash, ``{epoch, offset, server}``, and a stream whose ids are the offsets (``7-0``), so that its history
is a range of ids. Who is there is a sorted set (until when, by the server's clock) and a hash (with which data).

Only commands of Redis 6.2, and one of 7 on a cluster (SPUBLISH).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha1

#: Seconds for which epoch and offset of a topic outlive its events, so that a quiet topic doesn't begin anew under
#: those who listen. They see to it that these seconds don't run out while they do.
KEPT = 3600.0

#: No time is longer: ten years.
_FOREVER = 315_360_000.0


def milliseconds(seconds: float) -> int:
    """As the scripts take times: whole, at least 1."""
    return max(1, round(min(seconds, _FOREVER) * 1000))


@dataclass(frozen=True)
class Script:
    """Called by its digest; by its text where the server does not know it yet."""

    text: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        digest = sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "digest", digest)


_KEEP = """
local function keep(key, milliseconds)
  if redis.call('PTTL', key) < tonumber(milliseconds) then
    redis.call('PEXPIRE', key, milliseconds)
  end
end
"""

# What was written in another life of the server may have been written twice: it came back with an old copy, or this
# is a replica that had not heard of the last events. So the name of that life stands with the offset: what the server
# calls its replication, which is another one after each start, and each time that it becomes the master, also again
# (its process may be the same as then). A user who may not ask for it (INFO) has the same name always.
_LIFE = """
local function named(section, field)
  local info = redis.pcall('INFO', section)
  return type(info) == 'string' and string.match(info, field .. ':(%w+)')
end
local function life(meta, stream, fresh)
  local server = named('replication', 'master_replid') or named('server', 'run_id') or 'unknown'
  local known = redis.call('HMGET', meta, 'epoch', 'offset', 'server')
  if known[1] and known[2] and known[3] == server then
    return known[1], tonumber(known[2])
  end
  redis.call('HSET', meta, 'epoch', fresh, 'offset', 0, 'server', server)
  redis.call('UNLINK', stream)
  return fresh, 0
end
local function id(offset)
  return string.format('%.0f-0', offset)
end
"""

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

#: Keys: meta, stream. Arguments: a fresh epoch, milliseconds that meta stays, payload, size, milliseconds that the
#: stream stays, the command that publishes, channel. The first thing that is written may be refused (out of memory),
#: and then nothing is.
PUBLISH = Script(
    _LIFE
    + """
local epoch = life(KEYS[1], KEYS[2], ARGV[1])
local offset = redis.call('HINCRBY', KEYS[1], 'offset', 1)
if tonumber(ARGV[4]) > 0 then
  redis.call('XADD', KEYS[2], 'MAXLEN', '=', ARGV[4], id(offset), 'p', ARGV[3])
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
else
  redis.call('UNLINK', KEYS[2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call(ARGV[6], ARGV[7], epoch .. ':' .. string.format('%.0f', offset) .. ':' .. ARGV[3])
return {epoch, offset}
"""
)

#: Keys: meta, stream. Arguments: a fresh epoch, milliseconds that meta stays at least.
LOOK = Script(
    _KEEP
    + _LIFE
    + """
local epoch, offset = life(KEYS[1], KEYS[2], ARGV[1])
keep(KEYS[1], ARGV[2])
return {epoch, offset}
"""
)

#: Keys and the first arguments as above; then: epoch and offset after which, and how many. Answers with a third item,
#: the payloads, only where nothing is missing.
HISTORY = Script(
    _KEEP
    + _LIFE
    + """
local epoch, offset = life(KEYS[1], KEYS[2], ARGV[1])
keep(KEYS[1], ARGV[2])
local after = tonumber(ARGV[4])
if epoch ~= ARGV[3] or after < 0 or after > offset then
  return {epoch, offset}
end
local payloads = {}
if after < offset then
  local entries = redis.call('XRANGE', KEYS[2], id(after + 1), '+', 'COUNT', ARGV[5])
  if not entries[1] or entries[1][1] ~= id(after + 1) then
    return {epoch, offset}
  end
  for i, entry in ipairs(entries) do
    payloads[i] = entry[2][2]
  end
end
return {epoch, offset, payloads}
"""
)

#: Key: the channel. Arguments: the command that publishes, what is said.
SIGNAL = Script("return redis.call(ARGV[1], KEYS[1], ARGV[2])")

# Keys of what follows: until when, with which data.

#: Arguments: milliseconds of the lease, milliseconds that the keys stay at least, member, data.
ENTER = Script(
    _KEEP
    + _NOW
    + """
local added = redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[3])
keep(KEYS[1], ARGV[2])
keep(KEYS[2], ARGV[2])
return added
"""
)

#: Argument: member.
LEAVE = Script(
    """
redis.call('ZREM', KEYS[1], ARGV[1])
return redis.call('HDEL', KEYS[2], ARGV[1])
"""
)

#: Arguments: as of ENTER, but any number of members. Answers with those that are none.
RENEW = Script(
    _KEEP
    + _NOW
    + """
local gone = {}
for i = 3, #ARGV do
  if redis.call('HEXISTS', KEYS[2], ARGV[i]) == 1 then
    redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[i])
  else
    gone[#gone + 1] = ARGV[i]
  end
end
keep(KEYS[1], ARGV[2])
keep(KEYS[2], ARGV[2])
return gone
"""
)

_PAIRS = """
local function pairs_of(names)
  local found = {}
  for _, name in ipairs(names) do
    found[#found + 1] = name
    found[#found + 1] = redis.call('HGET', KEYS[2], name) or ''
  end
  return found
end
"""

#: Argument: how many at most. Answers with names and data by turns.
EXPIRE = Script(
    _NOW
    + _PAIRS
    + """
local names = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
local found = pairs_of(names)
for _, name in ipairs(names) do
  redis.call('ZREM', KEYS[1], name)
  redis.call('HDEL', KEYS[2], name)
end
return found
"""
)

#: Answers as EXPIRE does.
MEMBERS = Script(
    _NOW
    + _PAIRS
    + """
return pairs_of(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now), '+inf'))
"""
)
