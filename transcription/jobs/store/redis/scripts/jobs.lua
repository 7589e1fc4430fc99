-- Commands and queries of clients.

local CHUNK = 200  -- jobs that a list looks at in one call

local function too_many(caller)
  if not arg.max_open then return false end
  repair_queues()
  return unfinished_jobs(caller or '') >= arg.max_open
end

-- The job with an idempotency key.
local function job_with(idempotency_key)
  local id = idempotency_key and call('HGET', prefix .. 'keys', idempotency_key)
  return id and shown(id) and id  -- without one that is damaged
end

function steps.is_full() return not job_with(arg.idempotency_key) and too_many(arg.caller) and 1 end

function steps.submit()
  local fields = arg.fields
  local id, work = fields.id, fields.work
  if call('EXISTS', job_key(id)) == 1 then return {'new', shown(id)} end  -- the answer to the first call was lost
  local earlier = job_with(fields.idempotency_key)
  if earlier then
    return {get(earlier, 'fingerprint') == fields.fingerprint and 'same' or 'conflict', shown(earlier)}
  end
  local result = arg.caching and valid_result(work)
  if not result and too_many(fields.caller) then return {'too many', {}} end
  if not arg.caching then drop_windows_unless_unfinished(work) end
  local number = call('INCR', prefix .. 'number')
  for name, value in pairs(fields) do set(id, name, value) end
  set(id, 'number', number, 'created_at', now, 'seconds_done', 0, 'attempt', 0, 'failures', 0, 'held', 1)
  call('ZADD', prefix .. 'jobs', number, id)
  if fields.caller then call('ZADD', key('caller', fields.caller), number, id) end
  call('ZADD', key('work', work), number, id)
  if fields.idempotency_key then call('HSET', prefix .. 'keys', fields.idempotency_key, id) end
  call('HSET', prefix .. 'recordings', id, arg.recording_name)
  set_status(id, 'queued')
  open(id)
  schedule(id, now + policy.examination)
  if result then finish_with(id, result, call('HGET', key('result', result), 'duration')) end
  return {'new', shown(id)}
end

function steps.get() return shown(arg.id) end

local function shown_status(id)
  local status = get(id, 'status')
  if status ~= 'queued' or not leader_of(get(id, 'work')) then return status end
  return 'processing'
end

function steps.list()
  local wanted, asked, found = {}, #arg.statuses > 0, {}
  for _, status in ipairs(arg.statuses) do wanted[status] = true end
  local before = arg.before and '(' .. text(arg.before) or '+inf'
  -- The latest `limit` ids of a set for which `fits` holds, if it is given.
  local function add(name, fits)
    local kept, upper = 0, before
    while kept < arg.limit do
      local ids = call('ZREVRANGEBYSCORE', name, upper, '-inf', 'WITHSCORES', 'LIMIT', 0, CHUNK)
      for place = 1, #ids, 2 do
        local id = ids[place]
        -- A job that was lost, or deleted by a version without callers, is left in the list of its caller.
        local number = finite(call('ZSCORE', prefix .. 'jobs', id))
        if kept < arg.limit and number and (not fits or fits(id)) then
          found[#found + 1] = {number, id}
          kept = kept + 1
        end
      end
      if #ids < 2 * CHUNK then break end
      upper = '(' .. ids[#ids]
    end
  end
  local function is_queued(id) return get(id, 'status') == 'queued' end
  local function has_no_leader(id) return not leader_of(get(id, 'work')) end
  local function is_wanted(id) return wanted[shown_status(id)] end
  if arg.caller then
    add(key('caller', arg.caller), asked and is_wanted)
  elseif not asked then
    add(prefix .. 'jobs')
  else
    for _, status in ipairs(arg.statuses) do
      add(key('status', status), status == 'queued' and not wanted.processing and has_no_leader)
    end
    if wanted.processing and not wanted.queued then
      -- Those that wait for a job with the same request key, which is processing: few keys are.
      for _, work in ipairs(call('HKEYS', prefix .. 'leaders')) do add(key('open', work), is_queued) end
    end
  end
  table.sort(found, function(one, other) return one[1] > other[1] end)
  local page = {}
  for place = 1, math.min(#found, arg.limit) do page[#page + 1] = shown(found[place][2]) or nil end
  return page
end

function steps.snapshot()
  local job = shown(arg.id)
  if not job then return false end
  local running, waiting, seconds, unknown = {line_of(key('status', 'processing'))}, {}, 0, 0
  local work = get(arg.id, 'work')
  if get(arg.id, 'status') == 'queued' and work and not leader_of(work) then
    waiting = ahead_of(head_of(work) or arg.id)
    seconds, unknown = left_of(waiting)
    local more, more_unknown = left_of(running)
    seconds, unknown = seconds + more, unknown + more_unknown
  end
  local speeds = call('LRANGE', prefix .. 'speeds', 0, -1)
  return {job, size_of(waiting), text(seconds), unknown, size_of(running), speeds}
end

function steps.count()
  local counts = {}
  for _, status in ipairs(statuses) do
    counts[#counts + 1] = status
    counts[#counts + 1] = call('ZCARD', key('status', status))
  end
  local oldest = call('ZRANGE', key('status', 'queued'), 0, 0)[1]
  local accepted_at = oldest and get_number(oldest, 'created_at')
  return {counts, accepted_at and text(accepted_at) or false}
end

function steps.cancel()
  if unfinished(arg.id) then
    finish(arg.id, 'cancelled')
    call('HDEL', prefix .. 'recordings', arg.id)
  end
  return shown(arg.id)
end

function steps.retry()
  local id, status = arg.id, get(arg.id, 'status')
  if (status ~= 'failed' and status ~= 'completed') or not get(id, 'work') then return shown(id) end
  if too_many(get(id, 'caller')) then return 'too many' end
  local work = get(id, 'work')
  if status == 'completed' then drop_windows_unless_unfinished(work) end
  local unused = release_result(id)
  if unused then drop_result(unused) end
  drop_versions(id)
  clear(id, 'started_at', 'finished_at', 'expires_at', 'failure', 'not_before', 'delivery_state', 'delivery_attempts',
        'delivery_at', 'delivery_detail')
  set(id, 'failures', 0, 'seconds_done', resumed_from(work))
  call('ZREM', prefix .. 'expiry', id)
  call('ZREM', prefix .. 'deliveries', id)
  set_status(id, 'queued')
  open(id)
  schedule_oldest(work)
  return shown(id)
end

-- The files that no one needs any more.
function steps.delete()
  local status = get(arg.id, 'status')
  if status == 'queued' or status == 'processing' then return {} end
  local result = release_result(arg.id)
  if result then drop_result(result) end
  drop_job(arg.id)
  return ownerless
end

function steps.result()
  if get(arg.id, 'status') ~= 'completed' then return false end
  return transcript_of(get(arg.id, 'result') or '')
end

function steps.fail_unreadable() return fail_unreadable(arg.id) end
