-- The truth in one SQLite file. The tables and views are those of migrations/postgres, where every column is described.

CREATE TABLE entries (
    database INTEGER NOT NULL,
    key BLOB NOT NULL,
    type TEXT,
    state BLOB,
    expires_at_ms INTEGER,
    usage TEXT,
    subject TEXT,
    deleted INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (database, key)
) WITHOUT ROWID;

CREATE TABLE flushed (
    database INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL
);

CREATE TABLE closed_periods (
    database INTEGER NOT NULL,
    key BLOB NOT NULL,
    subject TEXT,
    limit_name TEXT NOT NULL,
    unit TEXT NOT NULL,
    period_start_us INTEGER NOT NULL,
    period_end_us INTEGER NOT NULL,
    month TEXT,
    used INTEGER NOT NULL,
    maximum INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (database, key, limit_name, period_start_us)
) WITHOUT ROWID;

CREATE TABLE rejected (
    database INTEGER NOT NULL,
    key BLOB NOT NULL,
    subject TEXT,
    reason TEXT NOT NULL,
    rejected_at_ms INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (database, key)
) WITHOUT ROWID;

CREATE TABLE owner (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    data_set TEXT,
    epoch INTEGER NOT NULL,
    owner TEXT,
    holder TEXT NOT NULL,
    applied INTEGER NOT NULL,
    lease_until_ms INTEGER
);

INSERT INTO owner (id, epoch, holder, applied) VALUES (1, 0, '', 0);

CREATE TABLE epochs (
    epoch INTEGER PRIMARY KEY,
    started_at_ms INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER
);

CREATE VIEW quota_usage AS
SELECT
    e.database,
    e.subject,
    slot.value ->> 0 AS limit_name,
    substr(slot.value ->> 0, 1, instr(slot.value ->> 0, ':') - 1) AS unit,
    CASE
        WHEN slot.value ->> 0 LIKE '%:rate:%' THEN 'rate'
        WHEN slot.value ->> 0 LIKE '%:fixed:%' THEN 'fixed'
        WHEN slot.value ->> 0 LIKE '%:sliding:%' THEN 'sliding'
        WHEN slot.value ->> 0 LIKE '%:log:%' THEN 'log'
        ELSE 'budget'
    END AS kind,
    strftime('%Y-%m-%dT%H:%M:%fZ', (slot.value ->> 1) / 1e6, 'unixepoch') AS period_start,
    slot.value ->> 2 AS used,
    slot.value ->> 3 AS maximum,
    strftime('%Y-%m-%dT%H:%M:%fZ', (slot.value ->> 4) / 1e6, 'unixepoch') AS resets_at,
    slot.value ->> 5 AS month,
    e.key,
    slot.value ->> 1 AS period_start_us
FROM entries AS e
LEFT JOIN flushed AS f ON f.database = e.database
JOIN json_each(e.usage) AS slot
WHERE NOT e.deleted AND (f.database IS NULL OR (e.epoch, e.seq) >= (f.epoch, f.seq));

CREATE VIEW usage_by_month AS
SELECT database, subject, month, unit, limit_name, SUM(used) AS used
FROM (
    -- A period that was closed and then met again, where a clock was set back, counts once.
    SELECT database, key, subject, month, unit, limit_name, MAX(used) AS used
    FROM (
        SELECT database, key, subject, month, unit, limit_name, period_start_us, used
        FROM quota_usage
        WHERE kind = 'budget' AND month IS NOT NULL
        UNION ALL
        SELECT database, key, subject, month, unit, limit_name, period_start_us, used
        FROM closed_periods
        WHERE month IS NOT NULL
    )
    GROUP BY database, key, subject, month, unit, limit_name, period_start_us
)
GROUP BY database, key, subject, month, unit, limit_name;
