-- Claims, leases and attempts of workers. A step that needs a lease returns false when the lease is lost.

local WINDOWS_KEPT = 3600  -- seconds that the windows of a completed job are kept for readers of its events

-- A lease is valid while now < lease_until <= now + policy.lease: should the clock be set back, no job gets stuck.
local function may_begin(id, owner)
  local status = get(id, 'status')
  if status == 'processing' then
    local lease_until = get_number(id, 'lease_until') or 0
    return get(id, 'owner') ~= owner and not (now < lease_until and lease_until <= now + policy.lease)
  end
  if status ~= 'queued' then return false end
  local not_before = get_number(id, 'not_before') or 0
  if now < not_before and not_before <= now + policy.max_postponement then return false end
  local work = get(id, 'work')
  if not work then return true end  -- it cannot be read, and fails when it is claimed
  -- The request key was damaged: under the new one the job is not known yet.
  if not call('ZSCORE', key('open', work), id) then call('ZADD', key('open', work), number_of(id), id) end
  return not leader_of(work) and head_of(work) == id
end

-- The first id of a sorted set for which `wanted` holds.
local function find(name, wanted)
  local from, chunk = 0, 100
  while true do
    local ids = call('ZRANGE', name, from, from + chunk - 1)
    for _, id in ipairs(ids) do
      if wanted(id) then return id end
    end
    if #ids < chunk then return false end
    from = from + chunk
  end
end

-- A job whose lease has expired, or else the next one in turn.
local function next_due(owner)
  local function due(id) return may_begin(id, owner) end
  local function oldest(caller)
    local best, number
    for _, urgency in ipairs(URGENCIES) do
      local id = find(waiting_key(caller, urgency), due)
      if id and (not best or number_of(id) < number) then best, number = id, number_of(id) end
    end
    return best
  end
  return find(key('status', 'processing'), due) or next_in_turn(oldest)
end

-- As `next_due`, but interrupted jobs first, then short ones and those that have waited long, then the others.
local function most_urgent_due(owner)
  local function due(id) return may_begin(id, owner) end
  local lost = find(key('status', 'processing'), due)
  if lost then return lost end
  for _, urgency in ipairs(URGENCIES) do
    local id = next_in_turn(function(caller)
      local found = find(waiting_key(caller, urgency), due)
      local late = urgency == 'short' and find(waiting_key(caller, 'other'), due)
      if not late or not has_waited(late) then return found end
      if not found then return late end
      return number_of(late) < number_of(found) and late or found
    end)
    if id then return id end
  end
  return false
end

local function begin(id)
  local work = get(id, 'work')
  local from = resumed_from(work)
  call('ZADD', key('open', work), number_of(id), id)  -- as it is, unless the request key was damaged
  call('PERSIST', key('windows', work))
  if get(id, 'status') == 'processing' then add(id, 'failures', 1) end
  add(id, 'attempt', 1)
  call('HSETNX', job_key(id), 'started_at', now)
  set(id, 'owner', arg.owner, 'lease_until', now + policy.lease, 'begun_at', now, 'begun_from', from,
      'seconds_done', math.max(get_number(id, 'seconds_done') or 0, from))
  clear(id, 'not_before', 'held', 'messages_sent', 'sent_at')
  local total = call('HGET', prefix .. 'totals', work)
  if total then call('HSETNX', job_key(id), 'seconds_total', total) end
  set_status(id, 'processing')
  count_turn(id)
  call('HSET', prefix .. 'leaders', work, id)
  note_seconds(work, get_number(id, 'seconds_done'))
  schedule(id, now + policy.lease)
end

local function hold_lease()
  set(arg.id, 'lease_until', now + policy.lease)
  schedule(arg.id, now + policy.lease)
end

function steps.claim()
  local id = arg.id
  if id then id = may_begin(id, arg.owner) and id else id = next_due(arg.owner) end
  if not id then return false end
  if get(id, 'work') then begin(id) end
  return shown(id)
end

-- The job for a worker that received the message about the job `arg.message`, which is often another one.
function steps.claim_for_message()
  local id = most_urgent_due(arg.owner)
  if not id then return false end
  local had_message = get(id, 'sent_at')
  if get(id, 'work') then begin(id) end
  -- There must be as many messages as jobs: without one of its own, this job has taken that of the other.
  if id ~= arg.message and not had_message and get(arg.message, 'status') == 'queued' then schedule(arg.message, now) end
  return shown(id)
end

function steps.renew()
  if not leased() then return false end
  hold_lease()
  return 1
end

function steps.examined()
  if not unfinished(arg.id) or not get(arg.id, 'work') then return end
  if arg.seconds then
    set(arg.id, 'seconds_total', arg.seconds)
    note_seconds(get(arg.id, 'work'), nil, arg.seconds)
    if get(arg.id, 'status') == 'queued' then
      leave_queue(arg.id)
      join_queue(arg.id)
    end
  end
  if call('HDEL', job_key(arg.id), 'held') == 1 then schedule_oldest(get(arg.id, 'work')) end
end

function steps.checkpoint()
  if not leased() then return false end
  local work = get(arg.id, 'work')
  local windows = key('windows', work)
  local kept = call('LLEN', windows)
  if arg.position > kept then return redis.error_reply('window ' .. arg.position .. ' comes after ' .. kept) end
  if arg.position == kept then call('RPUSH', windows, text(arg.done) .. ' ' .. payload) end
  local done = math.max(get_number(arg.id, 'seconds_done') or 0, arg.done)
  set(arg.id, 'failures', 0, 'seconds_done', done)
  if arg.total then set(arg.id, 'seconds_total', arg.total) end
  note_seconds(work, done, arg.total)
  hold_lease()
  return 1
end

function steps.complete()
  if not leased() then return false end
  local work, begun_at, from = get(arg.id, 'work'), get_number(arg.id, 'begun_at'), get_number(arg.id, 'begun_from')
  if begun_at and from and now > begun_at and arg.duration > from then
    call('LPUSH', prefix .. 'speeds', (arg.duration - from) / (now - begun_at))
    call('LTRIM', prefix .. 'speeds', 0, policy.speed_samples - 1)
  end
  local result = keep_result(work, arg.duration)
  for _, id in ipairs(call('ZRANGE', key('open', work), 0, -1)) do finish_with(id, result, arg.duration) end
  call('EXPIRE', key('windows', work), WINDOWS_KEPT)
  return 1
end

function steps.fail()
  if not leased() then return false end
  set(arg.id, 'failure', arg.failure)
  finish(arg.id, 'failed')
  return 1
end

function steps.requeue()
  if not leased() then return false end
  add(arg.id, 'failures', arg.failures)
  set(arg.id, 'not_before', arg.delay and now + math.min(arg.delay, policy.max_postponement) or 0)
  clear(arg.id, 'owner', 'lease_until')
  set_status(arg.id, 'queued')
  local work = get(arg.id, 'work')
  call('HDEL', prefix .. 'leaders', work)
  call('ZREM', prefix .. 'messages', arg.id)
  schedule_oldest(work)
  return 1
end

function steps.refuse()
  if get(arg.id, 'status') ~= 'queued' then return false end
  set(arg.id, 'failure', arg.failure)
  finish(arg.id, 'failed')
  return 1
end
