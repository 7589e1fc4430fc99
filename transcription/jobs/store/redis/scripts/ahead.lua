-- What begins before a queued job if nothing else happens: what `most_urgent_due` of `queue.lua` makes of its one step at
-- a time, without taking the steps. No step is here.
--
-- Jobs are counted, not read: the number of commands grows with the number of callers, and with the logarithm of that
-- of jobs, because Redis serves no one else meanwhile.

local EXACT = 500  -- queued jobs; if there are more, those that share the work of an older one count as well

-- Jobs by number. Those of a sorted set are read one by one, when they are needed. `shared`: some jobs share their work
-- with others; only those whose work would begin with them are wanted.
local function line_of(name, shared)
  if not shared then return {name = name, from = 0, count = call('ZCARD', name)} end
  local flat, heads = call('ZRANGE', name, 0, -1, 'WITHSCORES'), {}
  for place = 1, #flat, 2 do
    local id = flat[place]
    local work = get(id, 'work')
    if not work or (not leader_of(work) and head_of(work) == id) then
      heads[#heads + 1] = {id, finite(flat[place + 1]) or 0}
    end
  end
  return {heads = heads, from = 0, count = #heads}
end

local function part(line, from, count)
  return {name = line.name, heads = line.heads, from = line.from + from, count = count}
end

-- Id and number of the job at a place, from 1.
local function at(line, place)
  local index = line.from + place
  if line.heads then return unpack(line.heads[index]) end
  local found = call('ZRANGE', line.name, index - 1, index - 1, 'WITHSCORES')
  return found[1], finite(found[2]) or 0
end

-- The number of jobs at the front for which `fits` holds: for none behind the first for which it does not.
local function front(line, fits)
  local low, high = 0, line.count
  while low < high do
    local middle = math.ceil((low + high) / 2)
    local id, number = at(line, middle)
    if fits(id, number, middle) then low = middle else high = middle - 1 end
  end
  return low
end

local function size_of(lines)
  local size = 0
  for _, line in ipairs(lines) do size = size + line.count end
  return size
end

local function first_number(lines)
  local first = math.huge
  for _, line in ipairs(lines) do
    if line.count > 0 then first = math.min(first, select(2, at(line, 1))) end
  end
  return first
end

-- The place of a job among the jobs of these lines together; nil if it is not there.
local function place_of(id, lines)
  local number, place, found = number_of(id), 0, false
  for _, line in ipairs(lines) do
    local count = front(line, function(_, other) return other <= number end)
    found = found or (count > 0 and at(line, count) == id)
    place = place + count
  end
  return found and place or nil
end

-- The first `count` jobs of one or two lines together.
local function first_jobs(lines, count)
  local one, other = lines[1], lines[2]
  if not other then return {part(one, 0, count)} end
  local taken = front(one, function(_, number, place)
    if place > count then return false end
    local next_of_other = count - place + 1
    return next_of_other > other.count or select(2, at(other, next_of_other)) > number
  end)
  return {part(one, 0, taken), part(other, 0, count - taken)}
end

-- The waiting jobs of a caller by urgency. Long recordings that have waited are among the short ones.
local function waiting_by_urgency(caller, shared)
  local line = {}
  for _, urgency in ipairs(URGENCIES) do line[urgency] = line_of(waiting_key(caller, urgency), shared) end
  local late = front(line.other, has_waited)
  return {
    interrupted = {line.interrupted},
    short = {line.short, part(line.other, 0, late)},
    other = {part(line.other, late, line.other.count - late)},
  }
end

-- Whether a caller has its turn before another one that has as many jobs in progress by then. One that had more from
-- the start was served longer ago.
local function precedes(one, other)
  if one.running ~= other.running then return one.running > other.running end
  if one.served ~= other.served then return one.served < other.served end
  return one.first < other.first
end

-- The jobs that begin before `id`: lines, in no order.
local function ahead_of(id)
  repair_queues()
  local running, callers, found = running_jobs(), {}, {}
  local queued, processing = call('ZCARD', key('status', 'queued')), call('ZCARD', key('status', 'processing'))
  local shared = queued <= EXACT and call('ZCARD', prefix .. 'works') ~= queued + processing
  local caller_of_own = get(id, 'caller') or ''
  for _, caller in ipairs(call('SMEMBERS', prefix .. 'waiting_callers')) do
    local served = finite(call('HGET', prefix .. 'turns', caller)) or 0
    callers[#callers + 1] = {
      caller = caller, running = running[caller] or 0, served = served, waiting = waiting_by_urgency(caller, shared)
    }
  end
  local turn = finite(call('GET', prefix .. 'turns_taken')) or 0
  for _, urgency in ipairs(URGENCIES) do
    local order, own, level = {}, false, 0
    for _, each in ipairs(callers) do
      each.lines = each.waiting[urgency]
      each.count = size_of(each.lines)
      if each.count > 0 then
        each.first = first_number(each.lines)
        order[#order + 1] = each
        local place = each.caller == caller_of_own and place_of(id, each.lines)
        if place then own, level = each, each.running + place end
      end
    end
    for _, each in ipairs(order) do
      local count = each.count
      if own then count = math.min(count, level - each.running - (precedes(each, own) and 0 or 1)) end
      for _, line in ipairs(count > 0 and first_jobs(each.lines, count) or {}) do found[#found + 1] = line end
    end
    if own then return found end
    -- All of these begin before any job of the next urgency.
    table.sort(order, function(one, other)
      local first, second = one.running + one.count, other.running + other.count
      if first ~= second then return first < second end
      return precedes(one, other)
    end)
    for _, each in ipairs(order) do
      turn = turn + 1
      each.running, each.served = each.running + each.count, turn
    end
  end
  return found
end

local SUMMED = 500  -- jobs whose seconds are added up; of more, every so many-th

-- Seconds of audio that are left of the jobs of these lines, and the number of those whose duration is unknown.
local function left_of(lines)
  local size = size_of(lines)
  local works, count, current, before = {}, math.min(size, SUMMED), 1, 0
  if count == 0 then return 0, 0 end
  for sample = 1, count do
    local place = math.ceil(sample * size / count) - before
    while place > lines[current].count do
      place, before = place - lines[current].count, before + lines[current].count
      current = current + 1
    end
    works[sample] = get(at(lines[current], place), 'work') or ''
  end
  local totals, dones = call('HMGET', prefix .. 'totals', unpack(works)), call('HMGET', prefix .. 'dones', unpack(works))
  local seconds, unknown = 0, 0
  for place = 1, count do
    local total = finite(totals[place])
    if total then seconds = seconds + math.max(total - (finite(dones[place]) or 0), 0) else unknown = unknown + 1 end
  end
  return seconds * size / count, math.floor(unknown * size / count + 0.5)
end
