-- Messages to Celery workers.

-- The jobs whose message is due: id, attempt, seconds of audio, seconds since acceptance. `idle`: the broker holds no
-- message, so those sent to it are lost.
function steps.unsent()
  local messages, far = prefix .. 'messages', '(' .. text(now + policy.max_resend + policy.max_postponement)
  local ids = call('ZRANGEBYSCORE', messages, '-inf', text(now), 'LIMIT', 0, arg.limit)
  for _, id in ipairs(call('ZRANGEBYSCORE', messages, far, '+inf', 'LIMIT', 0, arg.limit)) do ids[#ids + 1] = id end
  if arg.idle then
    local function is_lost(id) return (get_number(id, 'sent_at') or now) < now - policy.unconfirmed end
    local queued = call('ZRANGE', key('status', 'queued'), 0, arg.limit - 1)
    -- Of a job whose worker has died, the message for the next attempt may die with another worker.
    local begun = call('ZRANGE', key('status', 'processing'), 0, -1)
    for _, waiting in ipairs({queued, begun}) do
      for _, id in ipairs(waiting) do
        if is_lost(id) then ids[#ids + 1] = id end
      end
    end
  end
  local unsent, seen = {}, {}
  for _, id in ipairs(ids) do
    if seen[id] then
      -- due for more than one reason
    elseif may_begin(id, '') then
      seen[id] = true
      set(id, 'sent_at', now)
      clear(id, 'held')
      schedule(id, now + policy.unconfirmed)
      local seconds = get_number(id, 'seconds_total')
      unsent[#unsent + 1] = {id, math.floor(get_number(id, 'attempt') or 0), seconds and text(seconds) or false,
                             text(now - (get_number(id, 'created_at') or now))}
    elseif unfinished(id) then
      local not_before = get_number(id, 'not_before') or 0
      schedule(id, get_number(id, 'lease_until') or (not_before > now and not_before) or now + policy.resend)
    else
      call('ZREM', messages, id)
    end
  end
  return unsent
end

function steps.sent()
  for id, attempt in pairs(arg.attempts) do
    if unfinished(id) and math.floor(get_number(id, 'attempt') or 0) == attempt then
      local before = add(id, 'messages_sent', 1) - 1
      schedule(id, now + math.min(policy.resend * 2 ^ before, policy.max_resend))
    end
  end
end
