-- In which format the file of a content lies: 0 where it was dropped in as such and not yet upgraded.
ALTER TABLE blob_contents ADD COLUMN format INTEGER NOT NULL DEFAULT 1;
CREATE INDEX idx_contents_old_format ON blob_contents (content_id) WHERE format = 0;

-- Which file of that content is rubbish (blob::FileTag): one that was put after the row was removed is
-- another, as a database that was put back may not know.
ALTER TABLE blob_unlinks ADD COLUMN tag BLOB CHECK (length(tag) = 16);

-- Puts that did not pin, and that no record of the holder has named since: while the grace runs, not even
-- an eviction takes the content from under them.
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
  -- The content, once it is committed.
  hash BLOB CHECK (length(hash) = 32)
) WITHOUT ROWID;
CREATE INDEX idx_uploads_holder ON blob_uploads (holder, touched_ms);
CREATE INDEX idx_uploads_touched ON blob_uploads (touched_ms);

-- The messages of components, each word marked with whose it is: what a component searches.
CREATE VIRTUAL TABLE search_own_messages USING fts5 (
  sender, channel, body, content = '', contentless_delete = 1,
  tokenize = 'unicode61 remove_diacritics 2'
);
INSERT OR REPLACE INTO meta (key, value) VALUES ('search_stale', x'01');
