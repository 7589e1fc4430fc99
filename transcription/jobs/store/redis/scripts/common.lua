-- Jobs in Redis. The files of this folder make one script, in the order that `script.py` beside the folder gives. Each
-- call runs one step of it, which is atomic because Redis runs one script at a time.
--
-- KEYS[1]: prefix of all keys, with a hash tag, so that a cluster keeps them on one node. ARGV: the name of the step,
-- its arguments as JSON, and a payload that is too large or too binary for JSON. Times are seconds since the epoch by
-- Redis's own clock, the only one that all machines share; `now` among the arguments replaces it. `policy` among them
-- is STORE_POLICY of `transcription/jobs/policy.py`.
--
--   job:ID            hash   the job, fields as the columns of `transcription/jobs/store/sqlite/schema.py`; empty ones
--                            are left out. `owned`: it has a caller, see `rows.py` beside the folder
--   jobs, status:S    zset   ids by number: of all jobs, and of those stored with status S
--   waiting:U:C       zset   ids by number: of the queued jobs of caller C with urgency U, see `turns.lua`
--   waiting_callers   set    callers with queued jobs
--   turns             hash   the turn in which a job of the caller was last begun, by caller
--   caller:C          zset   ids by number: of the jobs of caller C; none for jobs without a caller
--   work:W, open:W    zset   ids by number: of all jobs with request key W, and of the unfinished ones
--   works             zset   request keys with unfinished jobs, by the smallest number of those
--   leaders           hash   id of the job that is processing, by request key
--   totals, dones     hash   seconds of audio in all and done, by request key with unfinished jobs
--   windows:W         list   results of windows by position, each "END_IN_SECONDS RESULT"
--   result:R          hash   work, duration, expires_at, transcript
--   results:W         zset   ids of the results with request key W
--   users:R           set    ids of the jobs that show result R
--   versions:ID       zset   numbers of the former versions of the job's transcript
--   version:ID:N      hash   one of them: transcript, saved_at, replaced_at
--   keys, recordings  hash   id of the job by idempotency key; name of the recording by id
--   files, file_owners  hash  name of the file of a transcript by its owner, see `files.lua`; number of owners by name
--   expiry, result_expiry, deliveries, messages   zset   ids by the time something is due; messages: to workers
--   speeds            list   of the latest completed jobs, newest first
--   schema            hash   version: the highest that ever wrote here. minimum_reader: the oldest that may use it.
--                            base_minimum_reader: the same once no transcript is in a file, see `files.lua`

local prefix = KEYS[1] .. ':'
local step, arg, payload = ARGV[1], cjson.decode(ARGV[2]), ARGV[3]
local policy, call = arg.policy, redis.call

local function clock()
  local time = call('TIME')
  return time[1] + time[2] / 1000000
end

local now = arg.now or clock()

local function key(name, id) return prefix .. name .. ':' .. id end
local function job_key(id) return prefix .. 'job:' .. id end
local function text(number) return string.format('%.17g', number) end

-- A job may be damaged, or stored by another version. It must not stop a step that passes by: what is missing, or no
-- number where one is needed, reads as false or nil here, and Python fails the job when it reads it.
local function get(id, name)
  local value = redis.pcall('HGET', job_key(id), name)
  return type(value) == 'string' and value
end
local function finite(value)
  local number = tonumber(value or nil)
  if number and number == number and math.abs(number) < math.huge then return number end
end
local function get_number(id, name) return finite(get(id, name)) end
local function set(id, ...) call('HSET', job_key(id), ...) end
local function clear(id, ...) call('HDEL', job_key(id), ...) end
local function add(id, name, amount)
  local sum = math.floor(get_number(id, name) or 0) + amount
  set(id, name, sum)
  return sum
end
local function number_of(id) return finite(call('ZSCORE', prefix .. 'jobs', id)) or get_number(id, 'number') or 0 end

local function first_of(name) return call('ZRANGE', name, 0, 0, 'WITHSCORES') end

-- False, or why this program may not use what a newer one has stored. Checked by every step, because the newer one
-- may start while this one runs.
local function too_new()
  local schema = prefix .. 'schema'
  local stored = call('HMGET', schema, 'version', 'minimum_reader', 'base_minimum_reader')
  local version, reader, base = finite(stored[1]) or 0, finite(stored[2]) or 0, finite(stored[3]) or 0
  if reader > arg.schema[1] then return 'NEWERSCHEMA ' .. version end
  if version < arg.schema[1] then
    redis.pcall('HSET', schema, 'version', arg.schema[1], 'minimum_reader', math.max(reader, arg.schema[2]),
                'base_minimum_reader', math.max(base, arg.schema[2]))  -- not while Redis is full
  end
  return false
end

local steps = {}

-- A message about the job is due at `time`, unless the job moves on before.
local function schedule(id, time) call('ZADD', prefix .. 'messages', time, id) end
