-- A closed period that is refused is lost by itself, whatever becomes of its key's own row: it has a row of its own.
ALTER TABLE rejected ADD COLUMN period text NOT NULL DEFAULT '';
ALTER TABLE rejected DROP CONSTRAINT rejected_pkey;
ALTER TABLE rejected ADD PRIMARY KEY (database, key, period);
CREATE INDEX rejected_by_batch ON rejected (epoch, seq);
COMMENT ON TABLE rejected IS 'Rows of entries and closed_periods that were refused, with the last reason; entries keeps what it had of the key.';
COMMENT ON COLUMN rejected.period IS 'The budget and the start of the closed period that was refused; empty where it was the row of the key in entries.';
