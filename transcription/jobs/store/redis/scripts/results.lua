-- Results and finished windows by request key.

function steps.cached()
  local result = valid_result(arg.work)
  return result and call('HGET', key('result', result), 'transcript')
end

function steps.remember() keep_result(arg.work, arg.duration) end

function steps.checkpoints() return call('LRANGE', key('windows', arg.work), arg.start, -1) end
