-- Which batches of epochs that are over had rows that were refused for good: their changes ended with the process that had made them.

ALTER TABLE rejected ADD COLUMN batches text;

-- Of rows from before this migration it is not known where their merged batches began, nor when they were refused before.
UPDATE rejected
SET batches = coalesce((SELECT e.first_seq FROM epochs AS e WHERE e.epoch = rejected.epoch), 1) || '-' || seq;

ALTER TABLE rejected ALTER COLUMN batches SET NOT NULL;

COMMENT ON COLUMN rejected.batches IS 'The first and last numbers of the merged batches of that epoch with a row of the key that was refused, since one was taken: 3-4 6-6.';

CREATE TABLE refused_batches (
    epoch bigint NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    PRIMARY KEY (epoch, first_seq, last_seq)
);

COMMENT ON TABLE refused_batches IS 'Batches of earlier epochs with rows that were refused and not taken before their epoch ended: QUOTA.SYNC tells that those are not durable.';
COMMENT ON COLUMN refused_batches.epoch IS 'The epoch.';
COMMENT ON COLUMN refused_batches.first_seq IS 'The number of the first of the batches.';
COMMENT ON COLUMN refused_batches.last_seq IS 'The number of the last of them.';

-- A row that was refused again has replaced the one of an earlier epoch, and one that was taken in a later epoch was lost before that: up to
-- the last number of such, all batches of the epochs before may have had some.
INSERT INTO refused_batches (epoch, first_seq, last_seq)
SELECT e.epoch, e.first_seq, e.last_seq FROM epochs AS e
WHERE e.last_seq >= e.first_seq AND e.first_seq <= (
    SELECT max(r.seq) FROM rejected AS r WHERE NOT EXISTS (
        SELECT FROM entries AS n
        WHERE n.database = r.database AND n.key = r.key AND n.epoch = r.epoch AND n.seq > r.seq
    )
);
