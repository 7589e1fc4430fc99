-- Whose job is next. Callers take turns: the one with the fewest running jobs is served first, of several the one that
-- was served least recently; of its jobs the oldest. Messages to workers are served by urgency before that.

-- As the priorities of `transcription/jobs/cluster/broker.py`.
local URGENCIES = {'interrupted', 'short', 'other'}

local function waiting_key(caller, urgency) return key('waiting', urgency .. ':' .. caller) end

local function urgency_of(id)
  if get(id, 'started_at') then return 'interrupted' end
  local seconds = get_number(id, 'seconds_total')
  return seconds and seconds <= policy.short and 'short' or 'other'
end

-- Whether a job that is neither interrupted nor short is served like a short one.
local function has_waited(id) return (get_number(id, 'created_at') or now) <= now - policy.long_wait end

local function join_queue(id)
  local caller = get(id, 'caller') or ''
  call('ZADD', waiting_key(caller, urgency_of(id)), number_of(id), id)
  call('SADD', prefix .. 'waiting_callers', caller)
end

local function waiting_jobs(caller)
  local count = 0
  for _, urgency in ipairs(URGENCIES) do count = count + call('ZCARD', waiting_key(caller, urgency)) end
  return count
end

local function leave_queue(id)
  local caller = get(id, 'caller') or ''
  for _, urgency in ipairs(URGENCIES) do call('ZREM', waiting_key(caller, urgency), id) end
  if waiting_jobs(caller) == 0 then call('SREM', prefix .. 'waiting_callers', caller) end
end

-- Processes of a version without turns, during an upgrade, leave jobs out of the queues of their callers.
local function repair_queues()
  local count, callers = 0, call('SMEMBERS', prefix .. 'waiting_callers')
  for _, caller in ipairs(callers) do count = count + waiting_jobs(caller) end
  if count == call('ZCARD', key('status', 'queued')) then return end
  for _, caller in ipairs(callers) do
    for _, urgency in ipairs(URGENCIES) do call('DEL', waiting_key(caller, urgency)) end
  end
  call('DEL', prefix .. 'waiting_callers')
  for _, id in ipairs(call('ZRANGE', key('status', 'queued'), 0, -1)) do join_queue(id) end
end

local function running_jobs()
  local counts = {}
  for _, id in ipairs(call('ZRANGE', key('status', 'processing'), 0, -1)) do
    local caller = get(id, 'caller') or ''
    counts[caller] = (counts[caller] or 0) + 1
  end
  return counts
end

local function unfinished_jobs(caller) return waiting_jobs(caller) + (running_jobs()[caller] or 0) end

-- The next job. `first_of_caller`: the job of a caller that may begin first, or false.
local function next_in_turn(first_of_caller)
  repair_queues()
  local running, order = running_jobs(), {}
  for _, caller in ipairs(call('SMEMBERS', prefix .. 'waiting_callers')) do
    local served = finite(call('HGET', prefix .. 'turns', caller)) or 0
    order[#order + 1] = {caller = caller, running = running[caller] or 0, served = served}
  end
  table.sort(order, function(one, other)
    if one.running ~= other.running then return one.running < other.running end
    return one.served < other.served
  end)
  local best, place, number
  for _, each in ipairs(order) do
    if best and (each.running ~= place.running or each.served ~= place.served) then break end
    local id = first_of_caller(each.caller)
    if id and (not best or number_of(id) < number) then
      best, place, number = id, each, number_of(id)
    end
  end
  return best or false
end

local function count_turn(id)
  call('HSET', prefix .. 'turns', get(id, 'caller') or '', call('INCR', prefix .. 'turns_taken'))
end
