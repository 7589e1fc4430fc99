-- Results and finished windows by request key.

function steps.cached()
  local result = valid_result(arg.work)
  return result and transcript_of(result)
end

-- A transcript that cannot be read, whose id is the payload, is dropped, and every job that shows it fails. A retry resumes after its windows.
function steps.drop_unreadable_result()
  local function fail(id)
    if get(id, 'status') ~= 'completed' then return end
    clear(id, 'result')
    set(id, 'failure', arg.failure)
    set_status(id, 'failed')
  end
  for _, id in ipairs(call('SMEMBERS', key('users', payload))) do fail(id) end
  -- The job that was to be shown, unless it has another result by now.
  if arg.id and (get(arg.id, 'result') or '') == payload then fail(arg.id) end
  call('DEL', key('users', payload))
  drop_result(payload)
end

function steps.remember() keep_result(arg.work, arg.duration) end

function steps.drop_checkpoints()
  if not leased() then return false end
  if arg.position == 0 then
    call('DEL', key('windows', get(arg.id, 'work')))
  else
    call('LTRIM', key('windows', get(arg.id, 'work')), 0, arg.position - 1)
  end
  return 1
end

function steps.checkpoints() return call('LRANGE', key('windows', arg.work), arg.start, -1) end
