-- The truth in Postgres. Everything is made in the schema that comes first in the search path.

CREATE TABLE entries (
    database integer NOT NULL,
    key bytea NOT NULL,
    long_key bytea,
    type text,
    state bytea,
    expires_at_ms bigint,
    usage json,
    subject text,
    deleted boolean NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (database, key)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

-- Every flush changes rows of this table. Apart from the primary key no column has an index: with none on a changed column, and
-- room left in each page, Postgres changes a row in its page and no index at all (a heap-only update). Half of a page is left free, since
-- one flush may change every row.
COMMENT ON TABLE entries IS 'Every key with its value, and the keys that were deleted until they are pruned. Written by quotad only.';
COMMENT ON COLUMN entries.database IS 'The number of SELECT.';
COMMENT ON COLUMN entries.key IS 'The key; of one over 1,024 bytes the first 1,024 and the SHA-256 of all, since an index takes no more than 2,700.';
COMMENT ON COLUMN entries.long_key IS 'The whole key, if it is over 1,024 bytes.';
COMMENT ON COLUMN entries.type IS 'string, throttle or quota, as TYPE answers; NULL for a deleted key.';
COMMENT ON COLUMN entries.state IS 'The value as quotad packs it; NULL for a deleted key.';
COMMENT ON COLUMN entries.expires_at_ms IS 'When the key ends, in milliseconds since 1970; NULL: it does not.';
COMMENT ON COLUMN entries.usage IS 'The limits of a quota: [name, period start, used, maximum, resets at, month] each, times in microseconds since 1970; quota_usage names the parts.';
COMMENT ON COLUMN entries.subject IS 'The key as text; NULL if it is none.';
COMMENT ON COLUMN entries.deleted IS 'Whether the key was deleted.';
COMMENT ON COLUMN entries.epoch IS 'The epoch of the batch that wrote the row.';
COMMENT ON COLUMN entries.seq IS 'The number of the batch that wrote the row.';

CREATE TABLE flushed (
    database integer PRIMARY KEY,
    epoch bigint NOT NULL,
    seq bigint NOT NULL
);

COMMENT ON TABLE flushed IS 'The databases that were flushed: their rows in entries with a lower (epoch, seq) are dead.';
COMMENT ON COLUMN flushed.database IS 'The number of SELECT.';
COMMENT ON COLUMN flushed.epoch IS 'The epoch of the batch with the flush.';
COMMENT ON COLUMN flushed.seq IS 'The number of the batch with the flush.';

CREATE TABLE closed_periods (
    database integer NOT NULL,
    key bytea NOT NULL,
    subject text,
    limit_name text NOT NULL,
    unit text NOT NULL,
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    month text,
    used bigint NOT NULL,
    maximum bigint NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (database, key, limit_name, period_start)
);

COMMENT ON TABLE closed_periods IS 'What was used of budgets in the calendar periods that are over.';
COMMENT ON COLUMN closed_periods.database IS 'The number of SELECT.';
COMMENT ON COLUMN closed_periods.key IS 'The subject as in entries.key.';
COMMENT ON COLUMN closed_periods.subject IS 'The subject as text; NULL if it is none.';
COMMENT ON COLUMN closed_periods.limit_name IS 'The limit as verdicts name it.';
COMMENT ON COLUMN closed_periods.unit IS 'What was counted.';
COMMENT ON COLUMN closed_periods.period_start IS 'When the period began.';
COMMENT ON COLUMN closed_periods.period_end IS 'When it ended.';
COMMENT ON COLUMN closed_periods.month IS 'The month in which it began, in the zone of the budget: YYYY-MM.';
COMMENT ON COLUMN closed_periods.used IS 'What was used of it; more than the maximum where it was forced.';
COMMENT ON COLUMN closed_periods.maximum IS 'The maximum at its end.';
COMMENT ON COLUMN closed_periods.epoch IS 'The epoch of the batch that wrote the row.';
COMMENT ON COLUMN closed_periods.seq IS 'The number of the batch that wrote the row.';

CREATE TABLE rejected (
    database integer NOT NULL,
    key bytea NOT NULL,
    long_key bytea,
    subject text,
    reason text NOT NULL,
    rejected_at timestamptz NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (database, key)
);

COMMENT ON TABLE rejected IS 'Keys whose row was refused, with the last reason; entries keeps what it had of them.';
COMMENT ON COLUMN rejected.database IS 'The number of SELECT.';
COMMENT ON COLUMN rejected.key IS 'The key as in entries.key.';
COMMENT ON COLUMN rejected.long_key IS 'The whole key, if it is over 1,024 bytes.';
COMMENT ON COLUMN rejected.subject IS 'The key as text; NULL if it is none.';
COMMENT ON COLUMN rejected.reason IS 'Why the row was refused.';
COMMENT ON COLUMN rejected.rejected_at IS 'When it was refused.';
COMMENT ON COLUMN rejected.epoch IS 'The epoch of the batch with the row.';
COMMENT ON COLUMN rejected.seq IS 'The number of the batch with the row.';

CREATE TABLE owner (
    id smallint PRIMARY KEY CHECK (id = 1),
    data_set uuid,
    epoch bigint NOT NULL,
    owner uuid,
    holder text NOT NULL,
    applied bigint NOT NULL,
    lease_until timestamptz
) WITH (fillfactor = 50);

COMMENT ON TABLE owner IS 'One row: who writes, and how far. Every flush begins by changing it.';
COMMENT ON COLUMN owner.id IS 'Always 1.';
COMMENT ON COLUMN owner.data_set IS 'Which data this is; NULL before the first use.';
COMMENT ON COLUMN owner.epoch IS 'The latest epoch; 0 before the first use.';
COMMENT ON COLUMN owner.owner IS 'Who took it.';
COMMENT ON COLUMN owner.holder IS 'The owner for people: host, process, data directory.';
COMMENT ON COLUMN owner.applied IS 'The number of the last batch that was applied.';
COMMENT ON COLUMN owner.lease_until IS 'Until when nobody else takes it; NULL: it was released.';

INSERT INTO owner (id, epoch, holder, applied) VALUES (1, 0, '', 0);

CREATE TABLE epochs (
    epoch bigint PRIMARY KEY,
    started_at timestamptz NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint
);

COMMENT ON TABLE epochs IS 'One row for each start.';
COMMENT ON COLUMN epochs.epoch IS 'Its number.';
COMMENT ON COLUMN epochs.started_at IS 'When it began.';
COMMENT ON COLUMN epochs.first_seq IS 'The number of its first batch.';
COMMENT ON COLUMN epochs.last_seq IS 'The number of its last batch; NULL: it is the latest. One below first_seq: it had none.';

CREATE VIEW quota_usage AS
SELECT
    e.database,
    e.subject,
    slot ->> 0 AS limit_name,
    split_part(slot ->> 0, ':', 1) AS unit,
    split_part(slot ->> 0, ':', 2) AS kind,
    timestamptz 'epoch' + (slot ->> 1)::bigint * interval '1 microsecond' AS period_start,
    (slot ->> 2)::bigint AS used,
    (slot ->> 3)::bigint AS maximum,
    timestamptz 'epoch' + (slot ->> 4)::bigint * interval '1 microsecond' AS resets_at,
    slot ->> 5 AS month,
    e.key
FROM entries AS e
LEFT JOIN flushed AS f ON f.database = e.database
CROSS JOIN LATERAL json_array_elements(e.usage) AS slot
WHERE NOT e.deleted AND (f.database IS NULL OR (e.epoch, e.seq) >= (f.epoch, f.seq));

COMMENT ON VIEW quota_usage IS 'Every limit of every subject with its use, as of the last change of the subject.';

CREATE VIEW usage_by_month AS
SELECT database, subject, month, unit, limit_name, sum(used) AS used
FROM (
    -- A period that was closed and then met again, where a clock was set back, counts once.
    SELECT database, key, subject, month, unit, limit_name, max(used) AS used
    FROM (
        SELECT database, key, subject, month, unit, limit_name, period_start, used
        FROM quota_usage
        WHERE kind = 'budget' AND month IS NOT NULL
        UNION ALL
        SELECT database, key, subject, month, unit, limit_name, period_start, used
        FROM closed_periods
        WHERE month IS NOT NULL
    ) AS periods
    GROUP BY database, key, subject, month, unit, limit_name, period_start
) AS once
GROUP BY database, key, subject, month, unit, limit_name;

COMMENT ON VIEW usage_by_month IS 'What subjects used of their budgets, by the month in which a period began, closed and open ones.';
