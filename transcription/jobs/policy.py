"""The lease of a job, the delays before retries and deliveries, and when either is given up. Times are seconds.

Each number is stated here only. SQLite and Redis receive the ones they need as parameters, see `STORE_POLICY`.
"""

from __future__ import annotations

# Attempts

LEASE_SECONDS = 10.0  # a job whose owner sends no heartbeat for this long is taken over by another worker
HEARTBEAT_SECONDS = LEASE_SECONDS / 4
FIRST_RETRY_DELAY = 1.0  # before the second attempt; doubled for each further one
MAX_RETRY_DELAY = 300.0
MOST_DOUBLINGS = (
    9  # after which the delay is above MAX_RETRY_DELAY; a job that waits for storage has any number of attempts
)
# A queued job is due at the latest after this, whatever was requested: a later time was written before the system
# clock was set back.
MAX_POSTPONEMENT = 600.0
SPEED_SAMPLES = 20  # latest completed jobs whose median speed predicts the next ones

VERSIONS_KEPT = 10  # former transcripts of a job, beside the first one

# Webhooks

MAX_DELIVERY_ATTEMPTS = 10
FIRST_DELIVERY_DELAY = 5.0  # after the first attempt
DELIVERY_DELAY_GROWTH = 3.0  # ten attempts take 3.5 hours: 5 s, 15 s, 45 s, ... 20 min, then one an hour
MAX_DELIVERY_DELAY = 3600.0  # caps the receiver's Retry-After, too
DELIVERY_JITTER = 0.5  # a delay is randomly shorter or longer by up to this share
DELIVERY_LEASE_MARGIN = 30.0  # beyond WEBHOOK_TIMEOUT, to render the body and to record the outcome
MAX_DELIVERY_WAIT = 7200.0  # as MAX_POSTPONEMENT, between two attempts to deliver
DELIVERY_GRACE = 86_400.0  # an expired job whose webhook is still pending is kept this much longer

# Messages to Celery workers

SHORT_SECONDS = 300.0  # of audio; shorter recordings are served before longer ones
LONG_WAIT_SECONDS = 600.0  # a job that waited longer is served like a short one, so that it is not starved
EXAMINATION_SECONDS = 2.0  # a new job waits this long for its duration, which sets the priority of its message
UNCONFIRMED_SECONDS = 10.0  # a message not reported as sent by then is sent again
RESEND_SECONDS = 600.0  # a sent message whose job has not started by then counts as lost; doubled each time
MAX_RESEND_SECONDS = 7200.0  # in a long queue a message may wait for hours, and every copy takes memory

# What the stores take as parameters: the names in SQL (:lease) and in Lua (policy.lease).
STORE_POLICY = {
    "lease": LEASE_SECONDS,
    "max_postponement": MAX_POSTPONEMENT,
    "speed_samples": SPEED_SAMPLES,
    "versions_kept": VERSIONS_KEPT,
    "max_delivery_wait": MAX_DELIVERY_WAIT,
    "delivery_grace": DELIVERY_GRACE,
    "short": SHORT_SECONDS,
    "long_wait": LONG_WAIT_SECONDS,
    "examination": EXAMINATION_SECONDS,
    "unconfirmed": UNCONFIRMED_SECONDS,
    "resend": RESEND_SECONDS,
    "max_resend": MAX_RESEND_SECONDS,
}


def retry_delay(failures: int, requested: float = 0.0) -> float:
    """Seconds before the next attempt of a job. failures: in a row, before this one. requested: by the error."""
    doubled = FIRST_RETRY_DELAY * 2.0 ** min(failures, MOST_DOUBLINGS)
    return min(MAX_RETRY_DELAY, max(requested, doubled))


def delivery_delay(attempt: int, retry_after: float, chance: float) -> float:
    """Seconds before the next delivery. attempt: the failed one, from 1. retry_after: seconds. chance: 0 to 1."""
    delay = min(FIRST_DELIVERY_DELAY * DELIVERY_DELAY_GROWTH ** (attempt - 1), MAX_DELIVERY_DELAY)
    return max(delay * (1 + DELIVERY_JITTER * (2 * chance - 1)), min(retry_after, MAX_DELIVERY_DELAY))
