-- Deliveries of webhooks.

function steps.claim_delivery()
  local deliveries, far = prefix .. 'deliveries', '(' .. text(now + policy.max_delivery_wait)
  local id = call('ZRANGEBYSCORE', deliveries, '-inf', text(now), 'LIMIT', 0, 1)[1]
    or call('ZRANGEBYSCORE', deliveries, far, '+inf', 'LIMIT', 0, 1)[1]
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
