"""The SQL statements of the SQLite store. Named parameters come from `SqliteSteps`; times are in seconds.

A lease is valid while now < lease_until <= now + lease, so that no job gets stuck if the clock is set back. For the
same reason, anything that waits for a time is also due if that time is further away than the policy allows. In SQLite
text is greater than any number, so a time that was damaged into text is due by that rule, too.
"""
# ruff: noqa: S608 - the statements are put together from pieces of this file alone

from __future__ import annotations

_UNFINISHED = "status IN ('queued', 'processing')"  # exactly as in the partial index
_NO_LEASE = "owner = NULL, lease_until = NULL"
_IS_LEASED = "id = :id AND attempt = :attempt AND status = 'processing'"
_ENDED = f"""finished_at = :now, expires_at = :expires_at, not_before = 0, {_NO_LEASE},
             delivery_at = CASE WHEN callback_url IS NULL THEN NULL ELSE :now END"""
_DONE = f"status = 'completed', result = :result, seconds_done = :duration, seconds_total = :duration, {_ENDED}"
# Seconds: the end of the finished windows of a job's work in the file.
_RESUMED_FROM = (
    "COALESCE((SELECT CAST(done AS REAL) FROM windows WHERE work = jobs.work ORDER BY position DESC LIMIT 1), 0)"
)

# Jobs

# A queued job whose work is being done for another job, the leader, is shown with the leader's progress.
_SHOWN_STATUS = "CASE WHEN leader.number IS NULL THEN job.status ELSE 'processing' END"
SHOWN_JOBS = f"""
    SELECT job.*, {_SHOWN_STATUS} AS shown_status, leader.started_at AS leader_started_at,
           leader.seconds_done AS leader_seconds_done, leader.seconds_total AS leader_seconds_total
    FROM jobs AS job
    LEFT JOIN jobs AS leader ON job.status = 'queued' AND leader.work = job.work AND leader.status = 'processing'
"""
SUBMIT = """
    INSERT INTO jobs (id, work, status, request, recording, response_format, fingerprint, idempotency_key, created_at,
                      callback_url, request_id, layout, caller)
    VALUES (:id, :work, 'queued', :request, :recording, :response_format, :fingerprint, :idempotency_key, :now,
            :callback_url, :request_id, :layout, :caller)
"""
JOB_WITH_KEY = "SELECT id, fingerprint FROM jobs WHERE idempotency_key = :idempotency_key"
VALID_RESULT = """
    SELECT id, duration, transcript FROM results WHERE work = :work AND expires_at > :now ORDER BY id DESC LIMIT 1
"""
COMPLETE_FROM_RESULT = f"UPDATE jobs SET {_DONE} WHERE id = :id"

SHOWN_JOB = f"{SHOWN_JOBS} WHERE job.id = ?"
SHOWN_JOB_BY_NUMBER = f"{SHOWN_JOBS} WHERE job.number = ?"


def list_jobs(statuses: int, before: bool, caller: bool) -> str:
    """The query of one page.

    Parameters: `statuses` statuses (0 for any), the number if `before`, the name if `caller`, and the limit.
    """
    conditions = ["TRUE"]
    if statuses:
        conditions.append(f"{_SHOWN_STATUS} IN ({', '.join('?' * statuses)})")
    if before:
        conditions.append("job.number < ?")
    if caller:
        conditions.append("job.caller = ?")
    return f"{SHOWN_JOBS} WHERE {' AND '.join(conditions)} ORDER BY job.number DESC LIMIT ?"


COUNT_UNFINISHED = f"""
    SELECT COUNT(*) AS jobs FROM jobs INDEXED BY unfinished_jobs_of_caller WHERE caller = :caller AND {_UNFINISHED}
"""
# Of several jobs with the same work only the oldest is begun, so that a postponement holds for all of them.
_IS_FIRST_OF_WORK = """
    NOT EXISTS (SELECT 1 FROM jobs AS doing WHERE doing.work = job.work AND doing.status = 'processing')
    AND NOT EXISTS (
        SELECT 1 FROM jobs AS older
        WHERE older.work = job.work AND older.status = 'queued' AND older.number < job.number
    )
"""
# The works before one in the order in which they begin if nothing else happens, without the steps of `NEXT`. Callers
# with fewer jobs in progress are first, and every job that begins is one more: its `level`. Of two callers with as many
# by then, one that had more from the start was served longer ago.
AHEAD = f"""
    WITH running AS (
        SELECT caller, COUNT(*) AS jobs FROM jobs INDEXED BY processing_jobs WHERE status = 'processing' GROUP BY caller
    ), queue AS MATERIALIZED (
        SELECT caller, work, number, seconds_total AS total, seconds_done AS done,
               ROW_NUMBER() OVER (PARTITION BY caller ORDER BY number) AS place
        FROM jobs AS job INDEXED BY unfinished_jobs_of_caller
        WHERE {_UNFINISHED} AND status = 'queued' AND {_IS_FIRST_OF_WORK}
    ), callers AS MATERIALIZED (
        SELECT caller, MIN(number) AS first, COALESCE(running.jobs, 0) AS running, COALESCE(turns.served, 0) AS served
        FROM queue LEFT JOIN running USING (caller) LEFT JOIN turns USING (caller) GROUP BY caller
    ), own AS MATERIALIZED (
        SELECT running + place AS level, -running AS running, served, first FROM queue JOIN callers USING (caller)
        WHERE work = :work
    ), ahead AS (
        SELECT total, done, 1 AS waits FROM queue JOIN callers USING (caller)
        WHERE (running + place, -running, served, first) < (SELECT level, running, served, first FROM own)
        UNION ALL
        SELECT seconds_total, seconds_done, 0 FROM jobs INDEXED BY processing_jobs WHERE status = 'processing'
    )
    SELECT COALESCE(SUM(waits), 0) AS jobs, COALESCE(SUM(MAX(total - done, 0)), 0.0) AS seconds,
           COUNT(*) - COUNT(total) AS unknown
    FROM ahead
"""
# The same of a long queue, see `places`: jobs are counted in an index alone.
_QUEUED_OR_NOT = f"FROM jobs INDEXED BY unfinished_jobs_of_caller WHERE caller = :caller AND {_UNFINISHED}"
_LEFT = """
    SELECT COUNT(*) AS jobs, COALESCE(SUM(MAX(seconds_total - seconds_done, 0)), 0.0) AS seconds,
           COUNT(*) - COUNT(seconds_total) AS unknown
"""
COUNT_OF_CALLERS = f"""
    SELECT caller, jobs, COALESCE(turns.served, 0) AS served FROM (
        SELECT caller, COUNT(*) AS jobs FROM jobs INDEXED BY unfinished_jobs_of_caller WHERE {_UNFINISHED}
        GROUP BY caller
    ) LEFT JOIN turns USING (caller)
"""
PROCESSING = "SELECT caller, number FROM jobs INDEXED BY processing_jobs WHERE status = 'processing'"
LEFT_OF_PROCESSING = f"{_LEFT} FROM jobs INDEXED BY processing_jobs WHERE status = 'processing'"
HEAD_OF_WORK = "SELECT caller, number FROM jobs WHERE work = :work AND status = 'queued' ORDER BY number LIMIT 1"
FIRST_QUEUED = f"SELECT number {_QUEUED_OR_NOT} AND status = 'queued' ORDER BY number LIMIT 1"
COUNT_OLDER = f"SELECT COUNT(*) AS jobs {_QUEUED_OR_NOT} AND number < :number"
NUMBER_AT = f"SELECT number {_QUEUED_OR_NOT} ORDER BY number LIMIT 1 OFFSET :place"
# Multiples of an odd number are spread evenly in what they leave of a power of two, also those of every other job.
LEFT_OF_SAMPLE = f"""
    {_LEFT} {_QUEUED_OR_NOT} AND number <= :last AND number * 40503 % 65536 < :share AND status = 'queued'
"""
COUNT_BY_STATUS = """
    SELECT status, count(*) AS jobs,
           min(created_at) FILTER (WHERE typeof(created_at) IN ('real', 'integer')) AS oldest
    FROM jobs GROUP BY status
"""
COUNT_PROCESSING = "SELECT count(*) AS jobs FROM jobs WHERE status = 'processing'"
LATEST_SPEEDS = """
    SELECT speed FROM jobs WHERE speed IS NOT NULL AND typeof(speed) = 'real'
    ORDER BY finished_at DESC LIMIT :speed_samples
"""
CANCEL = f"UPDATE jobs SET status = 'cancelled', {_ENDED} WHERE id = :id AND {_UNFINISHED}"
RETRY = f"""
    UPDATE jobs
    SET status = 'queued', started_at = NULL, finished_at = NULL, expires_at = NULL, failures = 0, failure = NULL,
        seconds_done = {_RESUMED_FROM}, speed = NULL, result = NULL,
        delivery_state = 'pending', delivery_attempts = 0, delivery_at = NULL, delivery_detail = ''
    WHERE id = :id
"""
DELETE = f"DELETE FROM jobs WHERE id = ? AND NOT {_UNFINISHED} RETURNING work, result"
DROP_RESULT_UNLESS_USED = """
    DELETE FROM results WHERE id = ? AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.result = results.id)
"""
DROP_WINDOWS_UNLESS_WANTED = (
    "DELETE FROM windows WHERE work = :work AND NOT EXISTS (SELECT 1 FROM jobs WHERE work = :work)"
)
DROP_WINDOWS_UNLESS_UNFINISHED = f"""
    DELETE FROM windows WHERE work = :work AND NOT EXISTS (SELECT 1 FROM jobs WHERE work = :work AND {_UNFINISHED})
"""
RESULT_OF_JOB = """
    SELECT id, duration, transcript FROM results
    WHERE id = (SELECT result FROM jobs WHERE id = :id AND status = 'completed')
"""
# A completed job whose transcript cannot be read. A retry resumes after its finished windows, as after any failure.
FAIL_JOBS_OF_RESULT = """
    UPDATE jobs SET status = 'failed', failure = :failure, result = NULL WHERE result = :result AND status = 'completed'
"""
FAIL_WITHOUT_RESULT = """
    UPDATE jobs SET status = 'failed', failure = :failure, result = NULL WHERE id = :id AND status = 'completed'
    AND NOT EXISTS (SELECT 1 FROM results WHERE results.id = jobs.result)
"""
DROP_RESULT = "DELETE FROM results WHERE id = :result"
KEEP_RESULT = """
    INSERT INTO results (work, duration, expires_at, transcript) VALUES (:work, :duration, :expires_at, :transcript)
"""

# Versions

# The transcript that a completed job shows, unless it shows another one by now.
KEEP_VERSION = """
    INSERT INTO versions (job, version, saved_at, replaced_at, transcript)
    SELECT jobs.id, COALESCE(latest.version + 1, 0), COALESCE(latest.replaced_at, finished_at), :now,
           results.transcript
    FROM jobs JOIN results ON results.id = jobs.result
    LEFT JOIN (SELECT * FROM versions WHERE job = :id ORDER BY version DESC LIMIT 1) AS latest
    WHERE jobs.id = :id AND status = 'completed' AND result = :result
"""
# A result for one job: its work is the job's id, which no request has as its key.
REPLACEMENT = """
    INSERT INTO results (work, duration, expires_at, transcript)
    SELECT id, :duration, expires_at, :transcript FROM jobs WHERE id = :id
"""
SHOW_REPLACEMENT = "UPDATE jobs SET result = :shown WHERE id = :id"
DROP_OLD_VERSIONS = """
    DELETE FROM versions WHERE job = :id AND version > 0
    AND version <= (SELECT MAX(version) FROM versions WHERE job = :id) - :versions_kept
"""
VERSIONS = """
    SELECT version, saved_at FROM versions WHERE job = :id
    UNION ALL
    SELECT COALESCE(MAX(versions.version) + 1, 0), COALESCE(MAX(replaced_at), finished_at)
    FROM jobs LEFT JOIN versions ON versions.job = jobs.id
    WHERE jobs.id = :id AND status = 'completed' GROUP BY jobs.id
    ORDER BY version
"""
VERSION = "SELECT transcript FROM versions WHERE job = :id AND version = :version"

# Queue

_IS_LOST = "owner IS NOT :owner AND (:now < lease_until AND lease_until <= :now + :lease) IS NOT TRUE"
_IS_DUE = f"(not_before <= :now OR not_before > :now + :max_postponement) AND {_IS_FIRST_OF_WORK}"
LOST = f"""
    SELECT number FROM jobs AS job INDEXED BY processing_jobs
    WHERE status = 'processing' AND {_IS_LOST} ORDER BY number LIMIT 1
"""
GIVEN = f"""
    SELECT number FROM jobs AS job
    WHERE id = :id AND {_UNFINISHED} AND CASE status WHEN 'processing' THEN {_IS_LOST} ELSE {_IS_DUE} END
"""
# Callers take turns. The number of callers matters for the time this takes, not the number of their jobs.
NEXT = f"""
    WITH RECURSIVE callers (caller) AS (
        SELECT MIN(caller) FROM jobs INDEXED BY unfinished_jobs_of_caller WHERE {_UNFINISHED}
        UNION ALL
        SELECT (
            SELECT MIN(caller) FROM jobs INDEXED BY unfinished_jobs_of_caller
            WHERE {_UNFINISHED} AND caller > callers.caller
        )
        FROM callers WHERE callers.caller IS NOT NULL
    ), firsts AS (
        SELECT caller, (
            SELECT number FROM jobs AS job INDEXED BY unfinished_jobs_of_caller
            WHERE caller = callers.caller AND {_UNFINISHED} AND status = 'queued' AND {_IS_DUE}
            ORDER BY number LIMIT 1
        ) AS number
        FROM callers WHERE caller IS NOT NULL
    ), running AS (
        SELECT caller, COUNT(*) AS jobs FROM jobs INDEXED BY processing_jobs WHERE status = 'processing' GROUP BY caller
    )
    SELECT number FROM firsts LEFT JOIN running USING (caller) LEFT JOIN turns USING (caller)
    WHERE number IS NOT NULL
    ORDER BY COALESCE(running.jobs, 0), COALESCE(turns.served, 0), number LIMIT 1
"""
CLAIM = f"""
    UPDATE jobs
    SET status = 'processing', owner = :owner, lease_until = :now + :lease, not_before = 0, attempt = attempt + 1,
        failures = failures + (status = 'processing'), started_at = COALESCE(started_at, :now),
        begun_at = :now, begun_from = {_RESUMED_FROM}, seconds_done = MAX(seconds_done, {_RESUMED_FROM}),
        seconds_total = COALESCE(
            seconds_total, (SELECT MAX(seconds_total) FROM jobs AS same WHERE same.work = jobs.work)
        )
    WHERE number = :number
    RETURNING caller
"""
COUNT_TURN = """
    INSERT INTO turns (caller, served) SELECT :caller, 1 + COALESCE(MAX(served), 0) FROM turns WHERE TRUE
    ON CONFLICT DO UPDATE SET served = excluded.served
"""
# A job that cannot be read. One that has failed already keeps its failure, but expires whatever was stored.
FAIL_UNREADABLE = f"""
    UPDATE jobs
    SET status = 'failed', failure = :failure, finished_at = :now, expires_at = :expires_at, {_NO_LEASE},
        delivery_at = CASE WHEN callback_url IS NULL OR delivery_state <> 'pending' THEN NULL ELSE :now END
    WHERE number = :number AND (status <> 'failed' OR typeof(expires_at) NOT IN ('real', 'integer'))
"""
RENEW = f"UPDATE jobs SET lease_until = :now + :lease WHERE {_IS_LEASED}"
EXAMINED = f"UPDATE jobs SET seconds_total = COALESCE(:seconds, seconds_total) WHERE id = :id AND {_UNFINISHED}"
PROGRESS = f"""
    UPDATE jobs
    SET lease_until = :now + :lease, failures = 0, seconds_done = MAX(seconds_done, :done),
        seconds_total = COALESCE(:total, seconds_total)
    WHERE {_IS_LEASED}
"""
KEEP_WINDOW = """
    INSERT INTO windows (work, position, done, placed) VALUES (:work, :position, :done, :placed) ON CONFLICT DO NOTHING
"""
WINDOWS = "SELECT position, placed FROM windows WHERE work = ? AND position >= ? ORDER BY position"
DROP_WINDOWS_FROM = "DELETE FROM windows WHERE work = :work AND position >= :position"
# The speed excludes idle time between attempts.
COMPLETE = f"""
    UPDATE jobs
    SET speed = CASE WHEN :now > begun_at AND :duration > begun_from
                THEN (:duration - begun_from) / (:now - begun_at) END, {_DONE}
    WHERE {_IS_LEASED}
"""
COMPLETE_FOLLOWERS = f"UPDATE jobs SET {_DONE} WHERE work = :work AND status = 'queued'"
FAIL = f"UPDATE jobs SET status = 'failed', failure = :failure, {_ENDED} WHERE {_IS_LEASED}"
REFUSE = f"UPDATE jobs SET status = 'failed', failure = :failure, {_ENDED} WHERE id = :id AND status = 'queued'"
REQUEUE = f"""
    UPDATE jobs SET status = 'queued', not_before = :not_before, failures = failures + :failures, {_NO_LEASE}
    WHERE {_IS_LEASED}
"""

# Deliveries

CLAIM_DELIVERY = """
    WITH busy AS MATERIALIZED (
        SELECT json_extract(value, '$[0]') AS busy_caller, json_extract(value, '$[1]') AS receiver
        FROM json_each(:busy_receivers)
    )
    UPDATE jobs SET delivery_attempts = delivery_attempts + 1, delivery_at = :due_again
    WHERE number = (
        SELECT number FROM jobs
        WHERE delivery_at IS NOT NULL AND (delivery_at <= :now OR delivery_at > :now + :max_delivery_wait)
              AND caller NOT IN (SELECT value FROM json_each(:busy_callers))
              AND NOT EXISTS (
                  SELECT 1 FROM busy
                  WHERE caller = busy_caller AND lower(substr(callback_url, 1, length(receiver))) = receiver
                        AND substr(callback_url, length(receiver) + 1, 1) IN ('', '/', '?', '#')
              )
        ORDER BY delivery_at LIMIT 1
    )
    RETURNING number
"""
# A delivery that cannot be read is not attempted.
DROP_DELIVERY = "UPDATE jobs SET delivery_at = NULL WHERE number = ?"
# An attempt that outlived its lease is no longer the latest one, and changes nothing.
SETTLE_DELIVERY = """
    UPDATE jobs SET delivery_state = :state, delivery_at = :next_at, delivery_detail = :detail
    WHERE id = :id AND delivery_attempts = :attempts AND delivery_at IS NOT NULL
"""

# Maintenance

EXPIRE_JOBS = """
    DELETE FROM jobs WHERE number IN (
        SELECT number FROM jobs
        WHERE expires_at <= :now AND (delivery_at IS NULL OR expires_at <= :now - :delivery_grace) LIMIT :limit
    )
    RETURNING work
"""
EXPIRE_RESULTS = """
    DELETE FROM results WHERE id IN (
        SELECT id FROM results
        WHERE (expires_at <= :now OR expires_at >= '')  -- text, which no version writes, is greater than any number
              AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.result = results.id) LIMIT :limit
    )
"""
# A cancelled job cannot be retried; any other may need its recording again.
RECORDINGS_IN_USE = "SELECT id, recording FROM jobs WHERE status <> 'cancelled'"
