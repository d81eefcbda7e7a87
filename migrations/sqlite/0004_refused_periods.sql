-- A closed period that is refused has a row of its own; as in migrations/postgres, where every column is described. Copied to and fro, since
-- renaming would look at, and change, whatever views somebody has made.
CREATE TABLE rejected_before AS SELECT * FROM rejected;

DROP TABLE rejected;

CREATE TABLE rejected (
    database INTEGER NOT NULL,
    key BLOB NOT NULL,
    period TEXT NOT NULL DEFAULT '',
    subject TEXT,
    reason TEXT NOT NULL,
    rejected_at_ms INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    batches TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (database, key, period)
) WITHOUT ROWID;

CREATE INDEX rejected_by_batch ON rejected (epoch, seq);

INSERT INTO rejected (database, key, subject, reason, rejected_at_ms, epoch, seq, batches)
SELECT database, key, subject, reason, rejected_at_ms, epoch, seq, batches FROM rejected_before;

DROP TABLE rejected_before;
