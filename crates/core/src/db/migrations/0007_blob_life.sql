-- In which format the file of a content lies: 0 where it was dropped in as such and not yet upgraded.
ALTER TABLE blob_contents ADD COLUMN format INTEGER NOT NULL DEFAULT 1;
CREATE INDEX idx_contents_old_format ON blob_contents (content_id) WHERE format = 0;

-- Which file of that content is rubbish (blob::FileTag): one that was put after the row was removed is
-- another, as a database that was put back may not know.
ALTER TABLE blob_unlinks ADD COLUMN tag BLOB CHECK (length(tag) = 16);

-- Puts that did not pin, and were not handed to the cache since: while the grace runs, not even an
-- eviction takes the content from under them.
ALTER TABLE blob_holders ADD COLUMN unnamed_puts INTEGER NOT NULL DEFAULT 0;

-- Contents that may have nothing to keep them, and since when: what this root has been up for at the last
-- put, unpin or release, in milliseconds. Who collects looks at nothing else.
CREATE TABLE blob_candidates (
  content_id INTEGER PRIMARY KEY REFERENCES blob_contents (content_id),
  since_ms INTEGER NOT NULL
);
CREATE INDEX idx_candidates_since ON blob_candidates (since_ms, content_id);
INSERT INTO blob_candidates (content_id, since_ms)
  SELECT content_id, 0 FROM blob_contents AS contents
  WHERE NOT EXISTS (SELECT 1 FROM blob_holders AS holders
                    WHERE holders.content_id = contents.content_id AND holders.pinned)
    AND NOT EXISTS (SELECT 1 FROM blob_references AS named
                    WHERE named.content_id = contents.content_id);

-- Contents that the cache names, each counted once.
INSERT INTO totals (what, holder, count, bytes, stored_bytes)
  SELECT 'cachedContents', '', count(*), coalesce(sum(size), 0), 0 FROM blob_contents
  WHERE content_id IN (SELECT content_id FROM blob_references WHERE namespace = 'cache');

-- Uploads under way, and those that were committed of late, so that a commit can be repeated.
CREATE TABLE blob_uploads (
  upload_id TEXT PRIMARY KEY NOT NULL,
  holder TEXT NOT NULL,
  name TEXT,
  content_type TEXT,
  metadata_json TEXT,
  pinned INTEGER NOT NULL,
  expected_hash BLOB CHECK (length(expected_hash) = 32),
  size INTEGER,
  chunk_bytes INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  -- What this root had been up for when the upload was last touched, in milliseconds.
  touched_ms INTEGER NOT NULL,
  -- The content, once it is committed, and whether the holder did not hold it before.
  hash BLOB CHECK (length(hash) = 32),
  created INTEGER
) WITHOUT ROWID;
CREATE INDEX idx_uploads_holder ON blob_uploads (holder, touched_ms);
CREATE INDEX idx_uploads_touched ON blob_uploads (touched_ms);

-- The chunks that were received of uploads under way; the file of each is named by its place and file_id.
CREATE TABLE blob_upload_chunks (
  upload_id TEXT NOT NULL REFERENCES blob_uploads (upload_id),
  chunk_index INTEGER NOT NULL,
  sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
  size INTEGER NOT NULL,
  stored_size INTEGER NOT NULL,
  file_id INTEGER NOT NULL,
  PRIMARY KEY (upload_id, chunk_index)
) WITHOUT ROWID;

-- The messages of components, each word marked with whose it is: what a component searches.
CREATE VIRTUAL TABLE search_own_messages USING fts5 (
  sender, channel, body, content = '', contentless_delete = 1,
  tokenize = 'unicode61 remove_diacritics 2'
);
INSERT OR REPLACE INTO meta (key, value) VALUES ('search_stale', x'01');

-- Hexadecimal addresses are the same whatever their case (a checksum is only in that), others are not. They
-- are kept as given and found by these keys; a hash has no checksum, and is kept in small letters.
ALTER TABLE wallet_transactions ADD COLUMN from_key TEXT GENERATED ALWAYS AS (
  CASE WHEN from_address GLOB '0[xX]*' AND substr(from_address, 3) NOT GLOB '*[^0-9a-fA-F]*'
    THEN lower(from_address) ELSE from_address END) VIRTUAL;
ALTER TABLE wallet_transactions ADD COLUMN to_key TEXT GENERATED ALWAYS AS (
  CASE WHEN to_address GLOB '0[xX]*' AND substr(to_address, 3) NOT GLOB '*[^0-9a-fA-F]*'
    THEN lower(to_address) ELSE to_address END) VIRTUAL;
ALTER TABLE wallet_transactions ADD COLUMN token_key TEXT GENERATED ALWAYS AS (
  CASE WHEN token_address GLOB '0[xX]*' AND substr(token_address, 3) NOT GLOB '*[^0-9a-fA-F]*'
    THEN lower(token_address) ELSE token_address END) VIRTUAL;
UPDATE OR IGNORE wallet_transactions SET tx_hash = lower(tx_hash)
  WHERE tx_hash GLOB '0[xX]*' AND substr(tx_hash, 3) NOT GLOB '*[^0-9a-fA-F]*'
    AND tx_hash <> lower(tx_hash);
-- One index by sender and one by status, each of which serves the order of lists.
DROP INDEX idx_tx_from;
DROP INDEX idx_tx_sender;
DROP INDEX idx_tx_recipient;
DROP INDEX idx_tx_status;
DROP INDEX idx_tx_status_time;
CREATE INDEX idx_tx_from ON wallet_transactions (from_key, timestamp, tx_hash);
CREATE INDEX idx_tx_recipient ON wallet_transactions (to_key, timestamp, tx_hash);
CREATE INDEX idx_tx_status ON wallet_transactions (status, timestamp, tx_hash);
