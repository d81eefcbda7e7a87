-- Which batches of epochs that are over had rows that were refused for good; as in migrations/postgres, where every column is described.

ALTER TABLE rejected ADD COLUMN batches TEXT NOT NULL DEFAULT '';

-- Of rows from before this migration it is not known where their merged batches began, nor when they were refused before.
UPDATE rejected
SET batches = coalesce((SELECT e.first_seq FROM epochs AS e WHERE e.epoch = rejected.epoch), 1) || '-' || seq;

CREATE TABLE refused_batches (
    epoch INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    PRIMARY KEY (epoch, first_seq, last_seq)
) WITHOUT ROWID;

-- A row that was refused again has replaced the one of an earlier epoch, and one that was taken in a later epoch was lost before that: up to
-- the last number of such, all batches of the epochs before may have had some.
INSERT INTO refused_batches (epoch, first_seq, last_seq)
SELECT e.epoch, e.first_seq, e.last_seq FROM epochs AS e
WHERE e.last_seq >= e.first_seq AND e.first_seq <= (
    SELECT max(r.seq) FROM rejected AS r WHERE NOT EXISTS (
        SELECT 1 FROM entries AS n
        WHERE n.database = r.database AND n.key = r.key AND n.epoch = r.epoch AND n.seq > r.seq
    )
);
