-- Former transcripts of jobs whose transcript was replaced.

-- The numbers of the former versions, ascending.
local function numbers_of(id)
  local members = redis.pcall('ZRANGE', key('versions', id), 0, -1)
  if members.err then return {} end
  local numbers = {}
  for _, member in ipairs(members) do numbers[#numbers + 1] = tonumber(member) end
  return numbers
end

local function version_key(id, number) return key('version', id .. ':' .. number) end

-- The payload in place of the transcript that a completed job shows, unless it shows another one by now. It is for this
-- job alone: its work is the job's id, which no request has as its key.
function steps.replace_result()
  local id = arg.id
  if get(id, 'status') ~= 'completed' or get(id, 'result') ~= arg.result then return false end
  local former = transcript_of(arg.result)[3]
  if not former then return false end
  local numbers = numbers_of(id)
  local latest = numbers[#numbers]
  local number = latest and latest + 1 or 0
  local saved_at = latest and finite(redis.pcall('HGET', version_key(id, latest), 'replaced_at'))
  local expires_at = get_number(id, 'expires_at')
  -- First what adds: a full Redis refuses it, and nothing has changed then.
  call('HSET', version_key(id, number), 'transcript', former, 'replaced_at', now,
       'saved_at', saved_at or get_number(id, 'finished_at') or now)
  call('ZADD', key('versions', id), number, number)
  local file = owned_file(arg.result)
  keep_file(id .. ':' .. number, file)
  if file or (latest and call('TTL', key('versions', id)) < 0) then
    call('PERSIST', key('versions', id))  -- or the file would keep its owner indefinitely
  else
    -- A version of the program that does not know them deletes the job alone.
    local seconds = math.ceil(math.max((expires_at or now) - now, 0) + arg.ttl + policy.delivery_grace)
    call('EXPIRE', version_key(id, number), seconds)
    call('EXPIRE', key('versions', id), seconds)
  end
  local unused = release_result(id)
  if unused then drop_result(unused) end
  local result = keep_result(id, arg.duration, expires_at)
  set(id, 'result', result)
  call('SADD', key('users', result), id)
  for _, old in ipairs(numbers) do
    if old > 0 and old <= number - policy.versions_kept then
      call('ZREM', key('versions', id), old)
      call('DEL', version_key(id, old))
      drop_file(id .. ':' .. old)
    end
  end
  return result
end

-- Number and time of each version, the present one last.
function steps.versions()
  local id, found, present, saved_at = arg.id, {}, 0, nil
  if get(id, 'status') ~= 'completed' then return found end
  for _, number in ipairs(numbers_of(id)) do
    local times = redis.pcall('HMGET', version_key(id, number), 'saved_at', 'replaced_at')
    if not times.err and finite(times[1]) then
      found[#found + 1] = number
      found[#found + 1] = times[1]
      present, saved_at = number + 1, finite(times[2])
    end
  end
  found[#found + 1] = present
  found[#found + 1] = text(saved_at or get_number(id, 'finished_at') or now)
  return found
end

function steps.former_result()
  local packed = redis.pcall('HGET', version_key(arg.id, arg.number), 'transcript')
  return type(packed) == 'string' and packed
end
