-- A content that is stored: one file under blobs/. Rows appear and vanish only under the lock on the hash.
CREATE TABLE blob_contents (
  content_id INTEGER PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
  size INTEGER NOT NULL,
  stored_size INTEGER NOT NULL,
  codec INTEGER NOT NULL,
  created_at INTEGER NOT NULL
);

-- Who holds it, and what he says of it. The owner is the holder ''.
CREATE TABLE blob_holders (
  content_id INTEGER NOT NULL REFERENCES blob_contents (content_id),
  holder TEXT NOT NULL,
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  name TEXT,
  content_type TEXT,
  metadata_json TEXT,
  pinned INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (content_id, holder)
) WITHOUT ROWID;
CREATE INDEX idx_holders_created ON blob_holders (holder, created_at, hash);
CREATE UNIQUE INDEX idx_holders_hash ON blob_holders (holder, hash);
CREATE INDEX idx_contents_created ON blob_contents (created_at, hash);

-- Which records name it, in which role.
CREATE TABLE blob_references (
  namespace TEXT NOT NULL,
  record_key TEXT NOT NULL,
  role TEXT NOT NULL,
  content_id INTEGER NOT NULL REFERENCES blob_contents (content_id),
  PRIMARY KEY (namespace, record_key, role)
) WITHOUT ROWID;
CREATE INDEX idx_references_content ON blob_references (content_id, namespace, record_key);

-- Files that are known to be rubbish: written in the transaction that removes the content's row,
-- struck off once the file is gone.
CREATE TABLE blob_unlinks (
  hash BLOB PRIMARY KEY NOT NULL CHECK (length(hash) = 32)
) WITHOUT ROWID;

-- Totals, kept in the transactions that change them: never counted by a scan.
CREATE TABLE totals (
  what TEXT NOT NULL,
  holder TEXT NOT NULL,
  count INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  stored_bytes INTEGER NOT NULL,
  PRIMARY KEY (what, holder)
) WITHOUT ROWID;
