-- Starts from snapshots need to know what the truth no longer tells.
ALTER TABLE owner ADD COLUMN pruned INTEGER NOT NULL DEFAULT 0;
