-- The bytes of all answers ever kept, up to and including this row's: what lies between two rows is
-- then known from the two alone, and the table is pruned without a scan.
ALTER TABLE request_answers ADD COLUMN running_bytes INTEGER NOT NULL DEFAULT 0;
