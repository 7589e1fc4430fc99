-- Expiry of jobs and results.

local IN_USE = 3600  -- seconds before an expired result that a job still shows is checked again

function steps.expire()
  local ids = call('ZRANGEBYSCORE', prefix .. 'expiry', '-inf', text(now), 'LIMIT', 0, arg.limit)
  for _, id in ipairs(ids) do
    release_result(id)
    drop_job(id)
  end
  local dropped = 0
  for _, result in ipairs(call('ZRANGEBYSCORE', prefix .. 'result_expiry', '-inf', text(now), 'LIMIT', 0, arg.limit)) do
    if call('SCARD', key('users', result)) == 0 then
      drop_result(result)
      dropped = dropped + 1
    else
      call('ZREM', prefix .. 'result_expiry', result)  -- a full Redis allows a script to add only after it has deleted
      call('ZADD', prefix .. 'result_expiry', now + IN_USE, result)
    end
  end
  return #ids + dropped
end

function steps.recordings() return call('HVALS', prefix .. 'recordings') end
