-- Deliveries of webhooks.

local function set_of(list)
  local set = {}
  for _, name in ipairs(list or {}) do set[name] = true end
  return set
end

-- The first due delivery of a caller and to a receiver that are not busy.
local function due_delivery(deliveries)
  local callers, receivers, chunk = set_of(arg.callers), {}, 100
  for _, pair in ipairs(arg.receivers or {}) do receivers[pair[1] .. '\n' .. pair[2]] = true end
  local function is_busy(id)
    if not next(callers) and not next(receivers) then return false end
    local caller = get(id, 'caller') or ''
    if callers[caller] then return true end
    local receiver = string.match(string.lower(get(id, 'callback_url') or ''), '^[^/]*//[^/?#]*') or ''
    return receivers[caller .. '\n' .. receiver]
  end
  local function first_between(least, most)
    local from, ids = 0, nil
    repeat
      ids = call('ZRANGEBYSCORE', deliveries, least, most, 'LIMIT', from, chunk)
      for _, id in ipairs(ids) do
        if not is_busy(id) then return id end
      end
      from = from + chunk
    until #ids < chunk
  end
  return first_between('-inf', text(now)) or first_between('(' .. text(now + policy.max_delivery_wait), '+inf')
end

function steps.claim_delivery()
  local deliveries = prefix .. 'deliveries'
  local id = due_delivery(deliveries)
  if not id then return false end
  local due_again = now + math.min(arg.lease_seconds, policy.max_delivery_wait)
  if call('TYPE', job_key(id)).ok ~= 'hash' then
    call('ZREM', deliveries, id)  -- it is damaged
    return steps.claim_delivery()
  end
  add(id, 'delivery_attempts', 1)
  set(id, 'delivery_at', due_again)
  call('ZADD', deliveries, due_again, id)
  return shown(id)
end

-- An attempt that outlived its lease is no longer the latest one, and changes nothing.
function steps.settle_delivery()
  local id = arg.id
  if get_number(id, 'delivery_attempts') ~= arg.attempts or not get(id, 'delivery_at') then return end
  set(id, 'delivery_state', arg.state, 'delivery_detail', arg.detail)
  if arg.next_at then
    local next_at = math.min(arg.next_at, now + policy.max_delivery_wait)
    set(id, 'delivery_at', next_at)
    call('ZADD', prefix .. 'deliveries', next_at, id)
  else
    clear(id, 'delivery_at')
    call('ZREM', prefix .. 'deliveries', id)
    call('ZADD', prefix .. 'expiry', get_number(id, 'expires_at') or now + arg.ttl, id)
  end
end

-- A delivery that cannot be read is not attempted.
function steps.drop_delivery()
  clear(arg.id, 'delivery_at')
  call('ZREM', prefix .. 'deliveries', arg.id)
end
