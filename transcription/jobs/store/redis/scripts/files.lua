-- Transcripts that are files in the recording store. Where another one has its bytes, theirs is the description of the
-- file, see `file_of` in `transcription/jobs/store/rows.py`. The owner of a file is result "R", or "ID:N" for version N
-- of a job's transcript. A file may have several: the result of two jobs, one of which was corrected.

local READS_FILES = 9  -- the first schema version whose program can

local ownerless = {}  -- files that this step has left without an owner

local function set_minimum_reader(version) call('HSET', prefix .. 'schema', 'minimum_reader', version) end

local function file_of(owner) return call('HGET', prefix .. 'files', owner) end

local function keep_file(owner, name)
  if not name then return end
  -- An older program would fail the job of a transcript in a file.
  if call('HLEN', prefix .. 'files') == 0 then set_minimum_reader(READS_FILES) end
  if call('HSET', prefix .. 'files', owner, name) == 1 then call('HINCRBY', prefix .. 'file_owners', name, 1) end
end

local function drop_file(owner)
  local name = file_of(owner)
  if not name then return end
  call('HDEL', prefix .. 'files', owner)
  if call('HINCRBY', prefix .. 'file_owners', name, -1) <= 0 then
    call('HDEL', prefix .. 'file_owners', name)
    ownerless[#ownerless + 1] = name
  end
  if call('HLEN', prefix .. 'files') == 0 then set_minimum_reader(arg.schema[2]) end
end

function steps.files() return call('HKEYS', prefix .. 'file_owners') end
