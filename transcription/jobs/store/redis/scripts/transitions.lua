-- The state of a job and of everything that belongs to it. No step is here.

-- The id of the job that is processing with this request key.
local function leader_of(work)
  local leader = work and call('HGET', prefix .. 'leaders', work)
  if not leader then return false end
  if get(leader, 'status') == 'processing' and get(leader, 'work') == work then return leader end
  call('HDEL', prefix .. 'leaders', work)  -- it is damaged
  return false
end

-- The oldest unfinished job with this request key, and its number.
local function head_of(work)
  while true do
    local head = first_of(key('open', work))
    if not head[1] then return false end
    local status = get(head[1], 'status')
    local has_work = get(head[1], 'work') == work
    if (status == 'queued' or status == 'processing') and has_work then return head[1], head[2] end
    call('ZREM', key('open', work), head[1])  -- it is damaged
    if not has_work then call('ZREM', key('work', work), head[1]) end
  end
end

-- The job as shown to clients: if it waits for the run of another job, with the progress of that one. Its id and number
-- come from the index, whatever the job itself says: they are how clients reach it.
local function shown(id)
  local job = redis.pcall('HGETALL', job_key(id))
  if job.err then job = {} end
  if #job == 0 and not call('ZSCORE', prefix .. 'jobs', id) then return false end
  for _, value in ipairs({'id', id, 'number', text(number_of(id))}) do job[#job + 1] = value end
  local leader = get(id, 'status') == 'queued' and leader_of(get(id, 'work'))
  if not leader then return {job} end
  return {job, call('HMGET', job_key(leader), 'started_at', 'seconds_done', 'seconds_total')}
end

local statuses = {'queued', 'processing', 'completed', 'failed', 'cancelled'}

local function set_status(id, status)
  local before = get(id, 'status')
  if before then call('ZREM', key('status', before), id) end
  if before == 'queued' then leave_queue(id) end
  call('ZADD', key('status', status), number_of(id), id)
  set(id, 'status', status)
  if status == 'queued' then join_queue(id) end
end

local function unfinished(id)
  local status = get(id, 'status')
  return status == 'queued' or status == 'processing'
end

local function leased()
  -- Without its request key the job cannot be read, and fails when it is claimed again.
  return get(arg.id, 'status') == 'processing' and get_number(arg.id, 'attempt') == arg.attempt and get(arg.id, 'work')
end

-- Unless a job with this request key is processing, the oldest queued one is due.
local function schedule_oldest(work)
  local head = head_of(work)
  if head and not leader_of(work) then
    schedule(head, math.max(now, get_number(head, 'not_before') or 0))
  end
end

-- Seconds of audio for a request key: the largest known.
local function note_seconds(work, done, total)
  local known = finite(call('HGET', prefix .. 'dones', work))
  if done and done > (known or -1) then call('HSET', prefix .. 'dones', work, done) end
  known = finite(call('HGET', prefix .. 'totals', work))
  if total and total > (known or -1) then call('HSET', prefix .. 'totals', work, total) end
end

local function open(id)
  local work = get(id, 'work')
  call('ZADD', key('open', work), number_of(id), id)
  local _, number = head_of(work)
  call('ZADD', prefix .. 'works', number, work)
  note_seconds(work, get_number(id, 'seconds_done'), get_number(id, 'seconds_total'))
end

local function close_work(id, work)
  call('ZREM', key('open', work), id)
  if call('HGET', prefix .. 'leaders', work) == id then call('HDEL', prefix .. 'leaders', work) end
  local head, number = head_of(work)
  if head then
    call('ZADD', prefix .. 'works', number, work)
    schedule_oldest(work)
  else
    call('ZREM', prefix .. 'works', work)
    call('HDEL', prefix .. 'totals', work)
    call('HDEL', prefix .. 'dones', work)
  end
end

-- The request keys under which the job was opened and that it has lost since, where it is the oldest job.
local function close_lost_works(id)
  local number, present = number_of(id), get(id, 'work')
  for _, work in ipairs(call('ZRANGEBYSCORE', prefix .. 'works', number, number)) do
    if work ~= present then
      call('ZREM', key('work', work), id)
      close_work(id, work)
      if call('ZCARD', key('work', work)) == 0 then call('DEL', key('windows', work)) end
    end
  end
end

local function close(id)
  local work = get(id, 'work')
  if work then close_work(id, work) end
  close_lost_works(id)
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
  return last and finite(string.match(last, '^%S+')) or 0
end

local function keep_result(work, duration, expires_at)
  local result = call('INCR', prefix .. 'results_made')
  local until_then = expires_at or now + arg.ttl
  call('HSET', key('result', result), 'work', work, 'duration', duration, 'expires_at', until_then,
       'transcript', payload)
  keep_file(result, arg.file)
  call('ZADD', key('results', work), result, result)
  call('ZADD', prefix .. 'result_expiry', until_then, result)
  return result
end

local function drop_result(result)
  local work = redis.pcall('HGET', key('result', result), 'work')
  call('DEL', key('result', result))
  call('ZREM', prefix .. 'result_expiry', result)
  drop_file(result)
  if type(work) == 'string' then call('ZREM', key('results', work), result) end
end

-- Detach the result from the job; the result's id if no other job shows it.
local function release_result(id)
  local result = get(id, 'result')
  if not result then return false end
  clear(id, 'result')
  call('SREM', key('users', result), id)
  return call('SCARD', key('users', result)) == 0 and result
end

local function drop_versions(id)
  local members = redis.pcall('ZRANGE', key('versions', id), 0, -1)
  for _, number in ipairs(members.err and {} or members) do
    call('DEL', key('version', id .. ':' .. number))
    drop_file(id .. ':' .. number)
  end
  call('DEL', key('versions', id))
end

local function valid_result(work)
  local latest = call('ZREVRANGE', key('results', work), 0, 0)[1]
  if not latest then return false end
  local expires_at = redis.pcall('HGET', key('result', latest), 'expires_at')
  if type(expires_at) ~= 'string' then call('ZREM', key('results', work), latest) end  -- it is damaged
  return (type(expires_at) == 'string' and finite(expires_at) or 0) > now and latest
end

-- The transcript of a result, and its seconds; Python reads them.
local function transcript_of(result)
  local stored = redis.pcall('HMGET', key('result', result), 'duration', 'transcript')
  return stored.err and {result, false, false} or {result, stored[1], stored[2]}
end

local function drop_windows_unless_unfinished(work)
  if call('ZCARD', key('open', work)) == 0 then call('DEL', key('windows', work)) end
end

local function drop_job(id)
  local work, idempotency_key = get(id, 'work'), get(id, 'idempotency_key')
  close_lost_works(id)  -- of a job that an older version has failed
  local sets = {'jobs', 'expiry', 'deliveries', 'messages'}
  for _, status in ipairs(statuses) do sets[#sets + 1] = 'status:' .. status end
  if work then sets[#sets + 1] = 'work:' .. work end
  for _, name in ipairs(sets) do
    call('ZREM', prefix .. name, id)
  end
  local caller = get(id, 'caller')
  if caller then call('ZREM', key('caller', caller), id) end
  if idempotency_key then call('HDEL', prefix .. 'keys', idempotency_key) end
  call('HDEL', prefix .. 'recordings', id)
  drop_versions(id)
  call('DEL', job_key(id))
  if work and call('ZCARD', key('work', work)) == 0 then call('DEL', key('windows', work)) end
end

-- Fail a job that cannot be read, unless it has failed already. 1 if it had not.
local function fail_unreadable(id)
  if get(id, 'status') == 'failed' and call('ZSCORE', prefix .. 'expiry', id) then return 0 end
  local type_of_key = call('TYPE', job_key(id))
  if type_of_key.ok ~= 'hash' then call('DEL', job_key(id)) end
  for _, status in ipairs(statuses) do call('ZREM', key('status', status), id) end
  leave_queue(id)
  set(id, 'id', id, 'failure', arg.failure)
  local undelivered = (get(id, 'delivery_state') or 'pending') == 'pending'
  finish(id, 'failed')
  if not undelivered then
    clear(id, 'delivery_at')
    call('ZREM', prefix .. 'deliveries', id)
  end
  return 1
end
