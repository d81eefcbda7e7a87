-- Starts from snapshots need to know what the truth no longer tells.
ALTER TABLE owner ADD COLUMN pruned bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN owner.pruned IS 'Keys whose end was written up to this batch may be missing without a row.';
