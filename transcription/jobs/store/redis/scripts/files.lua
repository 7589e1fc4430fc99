-- Transcripts that are files in the recording store. Where another one has its bytes, theirs is the description of the
-- file, see `file_of` in `transcription/jobs/store/rows.py`. The owner of a file is result "R", or "ID:N" for version N
-- of a job's transcript. A file may have several: the result of two jobs, one of which was corrected.

local READS_FILES = 9  -- the first schema version whose program can

local ownerless = {}  -- files that this step has left without an owner

local function owned_file(owner) return call('HGET', prefix .. 'files', owner) end

-- An older program would fail the job of a transcript in a file, so it is refused while there is one.
local function require_files_to_be_read()
  local schema = prefix .. 'schema'
  local base = finite(call('HGET', schema, 'minimum_reader')) or arg.schema[2]
  call('HSET', schema, 'base_minimum_reader', base, 'minimum_reader', math.max(base, READS_FILES))
end

local function require_no_more()
  local schema = prefix .. 'schema'
  call('HSET', schema, 'minimum_reader', finite(call('HGET', schema, 'base_minimum_reader')) or arg.schema[2])
end

local function keep_file(owner, name)
  if not name then return end
  if call('HLEN', prefix .. 'files') == 0 then require_files_to_be_read() end
  if call('HSET', prefix .. 'files', owner, name) == 1 then call('HINCRBY', prefix .. 'file_owners', name, 1) end
end

local function drop_file(owner)
  local name = owned_file(owner)
  if not name then return end
  call('HDEL', prefix .. 'files', owner)
  if call('HINCRBY', prefix .. 'file_owners', name, -1) <= 0 then
    call('HDEL', prefix .. 'file_owners', name)
    ownerless[#ownerless + 1] = name
  end
  if call('HLEN', prefix .. 'files') == 0 then require_no_more() end
end

function steps.files() return call('HKEYS', prefix .. 'file_owners') end
