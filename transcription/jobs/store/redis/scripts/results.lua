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
  if arg.id then fail(arg.id) end
  call('DEL', key('users', payload))
  drop_result(payload)
end

-- The payload in place of the transcript that a completed job shows, unless it shows another one by now. It is for this
-- job alone: its work is the job's id, which no request has as its key.
function steps.replace_result()
  local id = arg.id
  if get(id, 'status') ~= 'completed' or get(id, 'result') ~= arg.result then return false end
  local unused = release_result(id)
  if unused then drop_result(unused) end  -- first: a full Redis allows a script to add only after it has deleted
  local result = keep_result(id, arg.duration, get_number(id, 'expires_at'))
  set(id, 'result', result)
  call('SADD', key('users', result), id)
  return 1
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
