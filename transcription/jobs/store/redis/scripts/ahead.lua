-- What begins before a queued job if nothing else happens: what `most_urgent_due` of `queue.lua` makes of its one step at
-- a time, without taking the steps. No step is here.

local COMPARED = 1000  -- queued jobs; if there are more, those that share the work of an older one count as well

-- The ids among these whose work would begin with them. `shared`: some jobs share their work with others.
local function heads(ids, shared)
  if not shared then return ids end
  local found = {}
  for _, id in ipairs(ids) do
    local work = get(id, 'work')
    if not work or (not leader_of(work) and head_of(work) == id) then found[#found + 1] = id end
  end
  return found
end

-- The waiting jobs of a caller by urgency, oldest first. Long recordings that have waited are among the short ones.
local function waiting_by_urgency(caller, shared)
  local waiting = {}
  for _, urgency in ipairs(URGENCIES) do
    waiting[urgency] = heads(call('ZRANGE', waiting_key(caller, urgency), 0, -1), shared)
  end
  local short, long = waiting.short, {}
  local count = #short
  for place, id in ipairs(waiting.other) do
    if #long == 0 and has_waited(id) then short[#short + 1] = id else long[#long + 1] = id end
  end
  if #short > count and count > 0 then
    table.sort(short, function(one, other) return number_of(one) < number_of(other) end)
  end
  waiting.other = long
  return waiting
end

-- Whether a caller has its turn before another one that has as many jobs in progress by then. One that had more from
-- the start was served longer ago.
local function precedes(one, other)
  if one.running ~= other.running then return one.running > other.running end
  if one.served ~= other.served then return one.served < other.served end
  return one.first < other.first
end

-- The ids of the jobs that begin before `id`, in no order.
local function ahead_of(id)
  repair_queues()
  local running, callers, found = running_jobs(), {}, {}
  local queued, processing = call('ZCARD', key('status', 'queued')), call('ZCARD', key('status', 'processing'))
  local shared = queued <= COMPARED and call('ZCARD', prefix .. 'works') ~= queued + processing
  for _, caller in ipairs(call('SMEMBERS', prefix .. 'waiting_callers')) do
    local served = finite(call('HGET', prefix .. 'turns', caller)) or 0
    callers[#callers + 1] = {
      running = running[caller] or 0, served = served, waiting = waiting_by_urgency(caller, shared)
    }
  end
  local turn = finite(call('GET', prefix .. 'turns_taken')) or 0
  for _, urgency in ipairs(URGENCIES) do
    local order, own, level = {}, false, 0
    for _, each in ipairs(callers) do
      each.ids = each.waiting[urgency]
      if each.ids[1] then
        each.first = number_of(each.ids[1])
        order[#order + 1] = each
      end
      for place, other in ipairs(each.ids) do
        if other == id then own, level = each, each.running + place end
      end
    end
    for _, each in ipairs(order) do
      local count = #each.ids
      if own then count = math.min(count, level - each.running - (precedes(each, own) and 0 or 1)) end
      for place = 1, count do found[#found + 1] = each.ids[place] end
    end
    if own then return found end
    -- All of these begin before any job of the next urgency.
    table.sort(order, function(one, other)
      local first, second = one.running + #one.ids, other.running + #other.ids
      if first ~= second then return first < second end
      return precedes(one, other)
    end)
    for _, each in ipairs(order) do
      turn = turn + 1
      each.running, each.served = each.running + #each.ids, turn
    end
  end
  return found
end

local SUMMED = 500  -- jobs whose seconds are added up; of more, every so many-th

-- Seconds of audio that are left of these jobs, and the number of those whose duration is unknown.
local function left_of(ids)
  local works, count = {}, math.min(#ids, SUMMED)
  if count == 0 then return 0, 0 end
  for place = 1, count do works[place] = get(ids[math.ceil(place * #ids / count)], 'work') or '' end
  local totals, dones = call('HMGET', prefix .. 'totals', unpack(works)), call('HMGET', prefix .. 'dones', unpack(works))
  local seconds, unknown = 0, 0
  for place = 1, count do
    local total = finite(totals[place])
    if total then seconds = seconds + math.max(total - (finite(dones[place]) or 0), 0) else unknown = unknown + 1 end
  end
  return seconds * #ids / count, math.floor(unknown * #ids / count + 0.5)
end
