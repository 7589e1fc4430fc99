-- Jobs in Redis: every step of `transcription.jobs.store.redis.store.RedisStore`, each atomic because Redis runs one script at a time.
--
-- KEYS[1]: prefix of all keys, with a hash tag, so that a cluster keeps them together. ARGV: name of the step, its
-- arguments as JSON, and what is too large or too binary for JSON. Times are seconds since the epoch by Redis's own
-- clock, the only one that all machines share; `now` among the arguments replaces it.
--
--   job:ID            hash     the job, fields as the columns of `transcription/jobs/store/sqlite/schema.py`; an empty one is left out
--   jobs, status:S    zset     ids by number: all, and those that are stored with status S
--   work:W, open:W    zset     ids by number: of all jobs of a work, and of the unfinished ones
--   works             zset     works that have unfinished jobs, by the smallest number of those
--   leaders           hash     id of the job that is processing, by work
--   totals, dones     hash     seconds of audio in all and done, by work that has unfinished jobs
--   windows:W         list     results of windows by position, each "END_IN_SECONDS RESULT"
--   result:R          hash     work, duration, expires_at, transcript; results:W their ids, users:R the jobs that show it
--   keys, recordings  hash     id of the job by idempotency key; name of the recording by id
--   expiry, result_expiry, deliveries, messages   zset   ids by when something is due; messages: to be sent to a worker
--   speeds            list     of the latest completed jobs, newest first

local prefix = KEYS[1] .. ':'
local step, arg, payload = ARGV[1], cjson.decode(ARGV[2]), ARGV[3]
local call = redis.call

local LEASE = 10                   -- seconds after which a job whose owner was not heard of is taken over
local LONGEST_POSTPONEMENT = 600   -- seconds; nothing waits longer, a later time was written before a clock went back
local LONGEST_DELIVERY_WAIT = 7200
local DELIVERY_GRACE = 86400       -- seconds that an expired job is kept for a webhook that was not settled
local SPEED_SAMPLES = 20
local EXAMINING = 2                -- seconds that a job waits for its length, which decides about its priority
local UNCONFIRMED = 10             -- seconds after which a message that nobody says was sent is sent again
local RESENT_AFTER = 600           -- seconds after which a message that was sent counts as lost, twice as many each time,
local RESENT_AT_LATEST = 7200      -- up to this, since what waits behind a long queue is not lost and each copy takes room
local IN_USE = 3600                -- seconds until it is looked again whether a job still shows an expired result
local WINDOWS_KEPT = 3600          -- seconds that windows of completed work are kept for readers of its events
local SUMMED = 500                 -- works before a job whose seconds are added up; for more their mean is taken

local function clock()
  local time = call('TIME')
  return time[1] + time[2] / 1000000
end

local now = arg.now or clock()

local function key(name, id) return prefix .. name .. ':' .. id end
local function job_key(id) return prefix .. 'job:' .. id end
local function text(number) return string.format('%.17g', number) end

local function get(id, name) return call('HGET', job_key(id), name) end
local function get_number(id, name) return tonumber(get(id, name) or nil) end
local function set(id, ...) call('HSET', job_key(id), ...) end
local function clear(id, ...) call('HDEL', job_key(id), ...) end

local function first_of(name) return call('ZRANGE', name, 0, 0, 'WITHSCORES') end

-- What a client is shown: the job, and the job that does its work while it waits itself.
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
  call('ZADD', key('status', status), get(id, 'number'), id)
  set(id, 'status', status)
end

local function unfinished(id)
  local status = get(id, 'status')
  return status == 'queued' or status == 'processing'
end

local function leased()
  return get(arg.id, 'status') == 'processing' and get_number(arg.id, 'attempt') == arg.attempt
end

-- A message about the job goes out at `time`, unless it moves on before.
local function remind(id, time) call('ZADD', prefix .. 'messages', time, id) end

-- The oldest job of a work that nobody does is the one to begin.
local function remind_of_work(work)
  local head = call('ZRANGE', key('open', work), 0, 0)[1]
  if head and call('HEXISTS', prefix .. 'leaders', work) == 0 then
    remind(head, math.max(now, get_number(head, 'not_before') or 0))
  end
end

-- Seconds of the work, the largest that was heard of.
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

local function shut(id)
  local work = get(id, 'work')
  call('ZREM', key('open', work), id)
  if call('HGET', prefix .. 'leaders', work) == id then call('HDEL', prefix .. 'leaders', work) end
  local first = first_of(key('open', work))
  if first[1] then
    call('ZADD', prefix .. 'works', first[2], work)
    remind_of_work(work)
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
    expires_at = expires_at + DELIVERY_GRACE
  end
  call('ZADD', prefix .. 'expiry', expires_at, id)
  shut(id)
end

local function finish_with(id, result, duration)
  set(id, 'result', result, 'seconds_done', duration, 'seconds_total', duration)
  call('SADD', key('users', result), id)
  finish(id, 'completed')
end

-- Where the finished windows of a work end in the file, seconds.
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

-- The job shows its result no longer.
local function let_result_go(id)
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
  for _, name in ipairs({'jobs', 'status:' .. get(id, 'status'), 'work:' .. work, 'expiry', 'deliveries', 'messages'}) do
    call('ZREM', prefix .. name, id)
  end
  if idempotency_key then call('HDEL', prefix .. 'keys', idempotency_key) end
  call('HDEL', prefix .. 'recordings', id)
  call('DEL', job_key(id))
  if call('ZCARD', key('work', work)) == 0 then call('DEL', key('windows', work)) end
end

-- A lease is live while now < lease_until <= now + LEASE, so that a clock that went back strands no job.
local function may_begin(id, owner)
  local status = get(id, 'status')
  if status == 'processing' then
    local lease_until = get_number(id, 'lease_until')
    return get(id, 'owner') ~= owner and not (now < lease_until and lease_until <= now + LEASE)
  end
  if status ~= 'queued' then return false end
  local not_before = get_number(id, 'not_before') or 0
  if now < not_before and not_before <= now + LONGEST_POSTPONEMENT then return false end
  local work = get(id, 'work')
  return call('HEXISTS', prefix .. 'leaders', work) == 0 and call('ZRANGE', key('open', work), 0, 0)[1] == id
end

-- The first id of a set, by number, for which `wanted` holds.
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

local function oldest_due(owner)
  local function due(id) return may_begin(id, owner) end
  local lost, waiting = find(key('status', 'processing'), due), find(key('status', 'queued'), due)
  if not lost or not waiting then return lost or waiting end
  return get_number(lost, 'number') < get_number(waiting, 'number') and lost or waiting
end

local function begin(id)
  local work = get(id, 'work')
  local from = resumed_from(work)
  call('PERSIST', key('windows', work))
  if get(id, 'status') == 'processing' then call('HINCRBY', job_key(id), 'failures', 1) end
  call('HINCRBY', job_key(id), 'attempt', 1)
  call('HSETNX', job_key(id), 'started_at', now)
  set(id, 'owner', arg.owner, 'lease_until', now + LEASE, 'begun_at', now, 'begun_from', from,
      'seconds_done', math.max(get_number(id, 'seconds_done'), from))
  clear(id, 'not_before', 'held', 'messages_sent')
  local total = call('HGET', prefix .. 'totals', work)
  if total then call('HSETNX', job_key(id), 'seconds_total', total) end
  set_status(id, 'processing')
  call('HSET', prefix .. 'leaders', work, id)
  note_seconds(work, get_number(id, 'seconds_done'))
  remind(id, now + LEASE)
end

local function hold_lease()
  set(arg.id, 'lease_until', now + LEASE)
  remind(arg.id, now + LEASE)
end

local steps = {}

-- The client's side

function steps.submit()
  local fields = arg.fields
  local id, work = fields.id, fields.work
  if call('EXISTS', job_key(id)) == 1 then return {'new', shown(id)} end  -- the answer to the first try was lost
  local earlier = fields.idempotency_key and call('HGET', prefix .. 'keys', fields.idempotency_key)
  if earlier then
    return {get(earlier, 'fingerprint') == fields.fingerprint and 'same' or 'conflict', shown(earlier)}
  end
  if not arg.caching then drop_windows_unless_unfinished(work) end
  local number = call('INCR', prefix .. 'number')
  for name, value in pairs(fields) do set(id, name, value) end
  set(id, 'number', number, 'created_at', now, 'seconds_done', 0, 'attempt', 0, 'failures', 0, 'held', 1)
  call('ZADD', prefix .. 'jobs', number, id)
  call('ZADD', key('work', work), number, id)
  if fields.idempotency_key then call('HSET', prefix .. 'keys', fields.idempotency_key, id) end
  call('HSET', prefix .. 'recordings', id, arg.recording_name)
  set_status(id, 'queued')
  open(id)
  remind(id, now + EXAMINING)
  local result = arg.caching and valid_result(work)
  if result then finish_with(id, result, call('HGET', key('result', result), 'duration')) end
  return {'new', shown(id)}
end

function steps.get() return shown(arg.id) end

function steps.list()
  local wanted, asked, found = {}, #arg.statuses > 0, {}
  for _, status in ipairs(arg.statuses) do wanted[status] = true end
  local before = arg.before and '(' .. text(arg.before) or '+inf'
  -- The latest `limit` ids of a set for which `fits` holds, if it is given.
  local function add(name, fits)
    local from, kept = 0, 0
    while kept < arg.limit do
      local ids = call('ZREVRANGEBYSCORE', name, before, '-inf', 'LIMIT', from, arg.limit)
      for _, id in ipairs(ids) do
        if kept < arg.limit and (not fits or fits(id)) then
          found[#found + 1] = {get_number(id, 'number'), id}
          kept = kept + 1
        end
      end
      if #ids < arg.limit then break end
      from = from + arg.limit
    end
  end
  local function is_queued(id) return get(id, 'status') == 'queued' end
  local function has_no_leader(id) return call('HEXISTS', prefix .. 'leaders', get(id, 'work')) == 0 end
  if not asked then add(prefix .. 'jobs') end
  for _, status in ipairs(arg.statuses) do
    add(key('status', status), status == 'queued' and not wanted.processing and has_no_leader)
  end
  if wanted.processing and not wanted.queued then
    -- Those that wait for another job of their work, which is being done: few works are.
    for _, work in ipairs(call('HKEYS', prefix .. 'leaders')) do add(key('open', work), is_queued) end
  end
  table.sort(found, function(one, other) return one[1] > other[1] end)
  local page = {}
  for place = 1, math.min(#found, arg.limit) do page[place] = shown(found[place][2]) end
  return page
end

function steps.snapshot()
  local job = shown(arg.id)
  if not job then return false end
  local work, number = get(arg.id, 'work'), get_number(arg.id, 'number')
  local first = tonumber(first_of(key('open', work))[2] or nil)
  local mine = '(' .. text(math.min(first or number, number))
  local count = call('ZCOUNT', prefix .. 'works', '-inf', mine)
  local seconds, unknown, scale = 0, 0, 1
  if count > 0 then
    local works = call('ZRANGEBYSCORE', prefix .. 'works', '-inf', mine, 'LIMIT', 0, SUMMED)
    local totals, dones = call('HMGET', prefix .. 'totals', unpack(works)), call('HMGET', prefix .. 'dones', unpack(works))
    for place = 1, #works do
      local total, done = tonumber(totals[place] or nil), tonumber(dones[place] or nil)
      if total then seconds = seconds + math.max(total - (done or 0), 0) else unknown = unknown + 1 end
    end
    scale = count / #works
  end
  local processing = call('ZCARD', key('status', 'processing'))
  return {job, count, text(seconds * scale), math.floor(unknown * scale + 0.5), processing,
          call('LRANGE', prefix .. 'speeds', 0, -1)}
end

function steps.census()
  local counts = {}
  for _, status in ipairs({'queued', 'processing', 'completed', 'failed', 'cancelled'}) do
    counts[#counts + 1] = status
    counts[#counts + 1] = call('ZCARD', key('status', status))
  end
  local oldest = call('ZRANGE', key('status', 'queued'), 0, 0)[1]
  return {counts, oldest and get(oldest, 'created_at') or false}
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
  if status ~= 'failed' and status ~= 'completed' then return shown(id) end
  local work = get(id, 'work')
  if status == 'completed' then drop_windows_unless_unfinished(work) end
  local unused = let_result_go(id)
  if unused then drop_result(unused) end
  clear(id, 'started_at', 'finished_at', 'expires_at', 'failure', 'not_before', 'delivery_state', 'delivery_attempts',
        'delivery_at', 'delivery_detail')
  set(id, 'failures', 0, 'seconds_done', resumed_from(work))
  call('ZREM', prefix .. 'expiry', id)
  call('ZREM', prefix .. 'deliveries', id)
  set_status(id, 'queued')
  open(id)
  remind_of_work(work)
  return shown(id)
end

function steps.delete()
  local status = get(arg.id, 'status')
  if not status or status == 'queued' or status == 'processing' then return end
  local unused = let_result_go(arg.id)
  if unused then drop_result(unused) end
  drop_job(arg.id)
end

function steps.result()
  local result = get(arg.id, 'status') == 'completed' and get(arg.id, 'result')
  return result and call('HGET', key('result', result), 'transcript')
end

function steps.cached()
  local result = valid_result(arg.work)
  return result and call('HGET', key('result', result), 'transcript')
end

function steps.remember() keep_result(arg.work, arg.duration) end

-- The worker's side. A step of a lease answers false when the lease is lost.

function steps.claim()
  local id = arg.id
  if id then id = may_begin(id, arg.owner) and id else id = oldest_due(arg.owner) end
  if not id then return false end
  begin(id)
  return shown(id)
end

function steps.renew()
  if not leased() then return false end
  hold_lease()
  return 1
end

function steps.examined()
  if not unfinished(arg.id) then return end
  if arg.seconds then
    set(arg.id, 'seconds_total', arg.seconds)
    note_seconds(get(arg.id, 'work'), nil, arg.seconds)
  end
  if call('HDEL', job_key(arg.id), 'held') == 1 then remind_of_work(get(arg.id, 'work')) end
end

function steps.checkpoint()
  if not leased() then return false end
  local work = get(arg.id, 'work')
  local windows = key('windows', work)
  local kept = call('LLEN', windows)
  if arg.position > kept then return redis.error_reply('window ' .. arg.position .. ' comes after ' .. kept) end
  if arg.position == kept then call('RPUSH', windows, text(arg.done) .. ' ' .. payload) end
  local done = math.max(get_number(arg.id, 'seconds_done'), arg.done)
  set(arg.id, 'failures', 0, 'seconds_done', done)
  if arg.total then set(arg.id, 'seconds_total', arg.total) end
  note_seconds(work, done, arg.total)
  hold_lease()
  return 1
end

function steps.checkpoints() return call('LRANGE', key('windows', arg.work), arg.start, -1) end

function steps.complete()
  if not leased() then return false end
  local work, begun_at, from = get(arg.id, 'work'), get_number(arg.id, 'begun_at'), get_number(arg.id, 'begun_from')
  if now > begun_at and arg.duration > from then
    call('LPUSH', prefix .. 'speeds', (arg.duration - from) / (now - begun_at))
    call('LTRIM', prefix .. 'speeds', 0, SPEED_SAMPLES - 1)
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
  call('HINCRBY', job_key(arg.id), 'failures', arg.failures)
  set(arg.id, 'not_before', arg.delay and now + math.min(arg.delay, LONGEST_POSTPONEMENT) or 0)
  clear(arg.id, 'owner', 'lease_until')
  set_status(arg.id, 'queued')
  local work = get(arg.id, 'work')
  call('HDEL', prefix .. 'leaders', work)
  call('ZREM', prefix .. 'messages', arg.id)
  remind_of_work(work)
  return 1
end

function steps.refuse()
  if get(arg.id, 'status') ~= 'queued' then return false end
  set(arg.id, 'failure', arg.failure)
  finish(arg.id, 'failed')
  return 1
end

-- Messages to the workers

-- Jobs about which a message is to be sent now: id, attempt, seconds of audio, seconds that it waits. `idle`: the broker
-- has no message at all, so those that were sent to it are lost.
function steps.unsent()
  local messages, far = prefix .. 'messages', '(' .. text(now + RESENT_AT_LATEST + LONGEST_POSTPONEMENT)
  local ids = call('ZRANGEBYSCORE', messages, '-inf', text(now), 'LIMIT', 0, arg.limit)
  for _, id in ipairs(call('ZRANGEBYSCORE', messages, far, '+inf', 'LIMIT', 0, arg.limit)) do ids[#ids + 1] = id end
  if arg.idle then
    for _, id in ipairs(call('ZRANGE', key('status', 'queued'), 0, arg.limit - 1)) do
      if (get_number(id, 'sent_at') or now) < now - UNCONFIRMED then ids[#ids + 1] = id end
    end
  end
  local unsent, seen = {}, {}
  for _, id in ipairs(ids) do
    if seen[id] then
      -- of several reasons one is enough
    elseif may_begin(id, '') then
      seen[id] = true
      set(id, 'sent_at', now)
      clear(id, 'held')
      remind(id, now + UNCONFIRMED)
      unsent[#unsent + 1] = {id, get(id, 'attempt'), get(id, 'seconds_total'), text(now - get_number(id, 'created_at'))}
    elseif unfinished(id) then
      local not_before = get_number(id, 'not_before') or 0
      remind(id, get_number(id, 'lease_until') or (not_before > now and not_before) or now + RESENT_AFTER)
    else
      call('ZREM', messages, id)
    end
  end
  return unsent
end

function steps.sent()
  for id, attempt in pairs(arg.attempts) do
    if unfinished(id) and get_number(id, 'attempt') == attempt then
      local before = call('HINCRBY', job_key(id), 'messages_sent', 1) - 1
      remind(id, now + math.min(RESENT_AFTER * 2 ^ before, RESENT_AT_LATEST))
    end
  end
end

-- Webhooks

function steps.claim_delivery()
  local deliveries, far = prefix .. 'deliveries', '(' .. text(now + LONGEST_DELIVERY_WAIT)
  local id = call('ZRANGEBYSCORE', deliveries, '-inf', text(now), 'LIMIT', 0, 1)[1]
    or call('ZRANGEBYSCORE', deliveries, far, '+inf', 'LIMIT', 0, 1)[1]
  if not id then return false end
  local due_again = now + math.min(arg.lease_seconds, LONGEST_DELIVERY_WAIT)
  call('HINCRBY', job_key(id), 'delivery_attempts', 1)
  set(id, 'delivery_at', due_again)
  call('ZADD', deliveries, due_again, id)
  return shown(id)
end

-- A try that took longer than its lease is not the latest one any more.
function steps.settle_delivery()
  local id = arg.id
  if get_number(id, 'delivery_attempts') ~= arg.attempts or not get(id, 'delivery_at') then return end
  set(id, 'delivery_state', arg.state, 'delivery_detail', arg.detail)
  if arg.next_at then
    local next_at = math.min(arg.next_at, now + LONGEST_DELIVERY_WAIT)
    set(id, 'delivery_at', next_at)
    call('ZADD', prefix .. 'deliveries', next_at, id)
  else
    clear(id, 'delivery_at')
    call('ZREM', prefix .. 'deliveries', id)
    call('ZADD', prefix .. 'expiry', get(id, 'expires_at'), id)
  end
end

-- Housekeeping

function steps.expire()
  local ids = call('ZRANGEBYSCORE', prefix .. 'expiry', '-inf', text(now), 'LIMIT', 0, arg.limit)
  for _, id in ipairs(ids) do
    let_result_go(id)
    drop_job(id)
  end
  local dropped = 0
  for _, result in ipairs(call('ZRANGEBYSCORE', prefix .. 'result_expiry', '-inf', text(now), 'LIMIT', 0, arg.limit)) do
    if call('SCARD', key('users', result)) == 0 then
      drop_result(result)
      dropped = dropped + 1
    else
      call('ZREM', prefix .. 'result_expiry', result)  -- a full Redis lets only those add who have begun to delete
      call('ZADD', prefix .. 'result_expiry', now + IN_USE, result)
    end
  end
  return #ids + dropped
end

function steps.recordings() return call('HVALS', prefix .. 'recordings') end

return steps[step]()
