-- The state of a job and of everything that belongs to it. No step is here.

-- The job as shown to clients: if it waits for the run of another job, with the progress of that one.
local function shown(id)
  local job = call('HGETALL', job_key(id))
  if #job == 0 then return false end
  local leader = get(id, 'status') == 'queued' and call('HGET', prefix .. 'leaders', get(id, 'work'))
  if not leader then return {job} end
  return {job, call('HMGET', job_key(leader), 'started_at', 'seconds_done', 'seconds_total')}
end

local function set_status(id, status)
  local before = get(id, 'status')
  if before then call('ZREM', key('status', before), id) end
  if before == 'queued' then leave_queue(id) end
  call('ZADD', key('status', status), get(id, 'number'), id)
  set(id, 'status', status)
  if status == 'queued' then join_queue(id) end
end

local function unfinished(id)
  local status = get(id, 'status')
  return status == 'queued' or status == 'processing'
end

local function leased()
  return get(arg.id, 'status') == 'processing' and get_number(arg.id, 'attempt') == arg.attempt
end

-- Unless a job with this request key is processing, the oldest queued one is due.
local function schedule_oldest(work)
  local head = call('ZRANGE', key('open', work), 0, 0)[1]
  if head and call('HEXISTS', prefix .. 'leaders', work) == 0 then
    schedule(head, math.max(now, get_number(head, 'not_before') or 0))
  end
end

-- Seconds of audio for a request key: the largest known.
local function note_seconds(work, done, total)
  local known = tonumber(call('HGET', prefix .. 'dones', work) or nil)
  if done and done > (known or -1) then call('HSET', prefix .. 'dones', work, done) end
  known = tonumber(call('HGET', prefix .. 'totals', work) or nil)
  if total and total > (known or -1) then call('HSET', prefix .. 'totals', work, total) end
end

local function open(id)
  local work, number = get(id, 'work'), get(id, 'number')
  call('ZADD', key('open', work), number, id)
  call('ZADD', prefix .. 'works', first_of(key('open', work))[2], work)
  note_seconds(work, get_number(id, 'seconds_done'), get_number(id, 'seconds_total'))
end

local function close(id)
  local work = get(id, 'work')
  call('ZREM', key('open', work), id)
  if call('HGET', prefix .. 'leaders', work) == id then call('HDEL', prefix .. 'leaders', work) end
  local first = first_of(key('open', work))
  if first[1] then
    call('ZADD', prefix .. 'works', first[2], work)
    schedule_oldest(work)
  else
    call('ZREM', prefix .. 'works', work)
    call('HDEL', prefix .. 'totals', work)
    call('HDEL', prefix .. 'dones', work)
  end
end

local function finish(id, status)
  set_status(id, status)
  local expires_at = now + arg.ttl
  set(id, 'finished_at', now, 'expires_at', expires_at)
  clear(id, 'owner', 'lease_until', 'not_before', 'held')
  call('ZREM', prefix .. 'messages', id)
  if get(id, 'callback_url') then
    set(id, 'delivery_at', now)
    call('ZADD', prefix .. 'deliveries', now, id)
    expires_at = expires_at + policy.delivery_grace
  end
  call('ZADD', prefix .. 'expiry', expires_at, id)
  close(id)
end

local function finish_with(id, result, duration)
  set(id, 'result', result, 'seconds_done', duration, 'seconds_total', duration)
  call('SADD', key('users', result), id)
  finish(id, 'completed')
end

-- The end of the finished windows of a request key in the file, seconds.
local function resumed_from(work)
  local last = call('LINDEX', key('windows', work), -1)
  return last and tonumber(string.match(last, '^%S+')) or 0
end

local function keep_result(work, duration)
  local result = call('INCR', prefix .. 'results_made')
  call('HSET', key('result', result), 'work', work, 'duration', duration, 'expires_at', now + arg.ttl,
       'transcript', payload)
  call('ZADD', key('results', work), result, result)
  call('ZADD', prefix .. 'result_expiry', now + arg.ttl, result)
  return result
end

local function drop_result(result)
  local work = call('HGET', key('result', result), 'work')
  call('DEL', key('result', result))
  call('ZREM', prefix .. 'result_expiry', result)
  if work then call('ZREM', key('results', work), result) end
end

-- Detach the result from the job; the result's id if no other job shows it.
local function release_result(id)
  local result = get(id, 'result')
  if not result then return false end
  clear(id, 'result')
  call('SREM', key('users', result), id)
  return call('SCARD', key('users', result)) == 0 and result
end

local function valid_result(work)
  local latest = call('ZREVRANGE', key('results', work), 0, 0)[1]
  return latest and tonumber(call('HGET', key('result', latest), 'expires_at')) > now and latest
end

local function drop_windows_unless_unfinished(work)
  if call('ZCARD', key('open', work)) == 0 then call('DEL', key('windows', work)) end
end

local function drop_job(id)
  local work, idempotency_key = get(id, 'work'), get(id, 'idempotency_key')
  local sets = {'jobs', 'status:' .. get(id, 'status'), 'work:' .. work, 'expiry', 'deliveries', 'messages'}
  for _, name in ipairs(sets) do
    call('ZREM', prefix .. name, id)
  end
  local caller = get(id, 'caller')
  if caller then call('ZREM', key('caller', caller), id) end
  if idempotency_key then call('HDEL', prefix .. 'keys', idempotency_key) end
  call('HDEL', prefix .. 'recordings', id)
  call('DEL', job_key(id))
  if call('ZCARD', key('work', work)) == 0 then call('DEL', key('windows', work)) end
end
