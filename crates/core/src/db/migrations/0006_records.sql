-- Whose own thing a change is about; NULL where it is no component's own.
ALTER TABLE change_feed ADD COLUMN component_id TEXT;

-- A row from before revisions has revision 1: no change is ever numbered so low, and 0 means absent.
ALTER TABLE applications ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
-- The order of launches; the clock's time stands beside it for display.
ALTER TABLE applications ADD COLUMN last_launched_seq INTEGER;
UPDATE applications SET last_launched_seq = ranked.position
  FROM (SELECT application_id, row_number() OVER (ORDER BY last_launched, application_id) AS position
        FROM applications WHERE last_launched IS NOT NULL) AS ranked
  WHERE applications.application_id = ranked.application_id;
CREATE INDEX idx_applications_launched_id ON applications (last_launched_seq, application_id);
CREATE INDEX idx_applications_name ON applications (name, application_id);
CREATE INDEX idx_applications_installed_id ON applications (installed_at, application_id);

CREATE TABLE application_config (
  application_id TEXT NOT NULL REFERENCES applications (application_id) ON DELETE CASCADE,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  PRIMARY KEY (application_id, key)
);

-- Which process it is: a pid alone may have been given to another. The heartbeat's age is counted on
-- the clock that never jumps, in milliseconds since the boot that `process` names.
ALTER TABLE component_registry ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
ALTER TABLE component_registry ADD COLUMN process TEXT;
ALTER TABLE component_registry ADD COLUMN boot TEXT;
ALTER TABLE component_registry ADD COLUMN heartbeat_ms INTEGER;
CREATE INDEX idx_registry_status_id ON component_registry (status, component_id);

ALTER TABLE keys_metadata ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
CREATE INDEX idx_keys_component_index ON keys_metadata (component_id, derivation_index);
-- The next index of each component. Never lowered: a key is derived from its index, so one that was
-- given out again would be the same key.
CREATE TABLE key_indices (
  component_id TEXT PRIMARY KEY NOT NULL,
  next_index INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO key_indices SELECT component_id, max(derivation_index) + 1 FROM keys_metadata GROUP BY component_id;

ALTER TABLE wallet_transactions ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
CREATE INDEX idx_tx_time ON wallet_transactions (timestamp, tx_hash);
CREATE INDEX idx_tx_sender ON wallet_transactions (from_address, timestamp, tx_hash);
CREATE INDEX idx_tx_recipient ON wallet_transactions (to_address, timestamp, tx_hash);
CREATE INDEX idx_tx_status_time ON wallet_transactions (status, timestamp, tx_hash);
CREATE INDEX idx_tx_component ON wallet_transactions (component_id, timestamp, tx_hash);
-- Counts and sums, kept in the transactions that change them. Amounts are decimal digits and are added
-- as such. The empty text stands for no component, and for ETH.
CREATE TABLE transaction_totals (
  component_id TEXT NOT NULL,
  token_address TEXT NOT NULL,
  status TEXT NOT NULL,
  count INTEGER NOT NULL,
  amount TEXT NOT NULL,
  PRIMARY KEY (component_id, token_address, status)
) WITHOUT ROWID;

ALTER TABLE autonomi_cache ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
-- The order of access; the clock's time stands beside it for display.
ALTER TABLE autonomi_cache ADD COLUMN accessed_seq INTEGER NOT NULL DEFAULT 0;
UPDATE autonomi_cache SET accessed_seq = ranked.position
  FROM (SELECT autonomi_address, row_number() OVER (ORDER BY last_accessed, autonomi_address) AS position
        FROM autonomi_cache) AS ranked
  WHERE autonomi_cache.autonomi_address = ranked.autonomi_address;
CREATE INDEX idx_cache_order ON autonomi_cache (accessed_seq, autonomi_address);
INSERT INTO totals SELECT 'cache', '', count(*), coalesce(sum(size), 0), 0 FROM autonomi_cache;

-- A message is the component's that put it, or the owner's (NULL).
CREATE TABLE messages (
  message_seq INTEGER PRIMARY KEY,
  message_id TEXT NOT NULL UNIQUE,
  component_id TEXT,
  channel TEXT NOT NULL,
  sender TEXT NOT NULL,
  timestamp INTEGER NOT NULL,
  body TEXT,
  metadata_json TEXT,
  attachments_json TEXT,
  revision INTEGER NOT NULL
);
CREATE INDEX idx_messages_time ON messages (timestamp, message_id);
CREATE INDEX idx_messages_channel ON messages (channel, timestamp, message_id);
CREATE INDEX idx_messages_component ON messages (component_id, timestamp, message_id);
CREATE INDEX idx_messages_component_channel ON messages (component_id, channel, timestamp, message_id);

-- Each component's own records. Values are sealed; keys, sizes and times stand in clear.
CREATE TABLE component_storage (
  component_id TEXT NOT NULL,
  key TEXT NOT NULL,
  value BLOB NOT NULL,
  updated_at INTEGER NOT NULL,
  expires_at INTEGER,
  revision INTEGER NOT NULL,
  PRIMARY KEY (component_id, key)
);
CREATE INDEX idx_storage_expiry ON component_storage (expires_at) WHERE expires_at IS NOT NULL;

-- What is searched, under a number that stays. The indices themselves hold words only: the text is in
-- the records.
CREATE TABLE search_records (
  search_id INTEGER PRIMARY KEY,
  namespace TEXT NOT NULL,
  record_key TEXT NOT NULL,
  UNIQUE (namespace, record_key)
);
CREATE VIRTUAL TABLE search_components USING fts5 (
  name, description, author, keywords, content = '', contentless_delete = 1,
  tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
);
CREATE VIRTUAL TABLE search_applications USING fts5 (
  name, description, author, keywords, content = '', contentless_delete = 1,
  tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
);
CREATE VIRTUAL TABLE search_messages USING fts5 (
  sender, channel, body, content = '', contentless_delete = 1,
  tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
);

-- Long work: what it is, how far it is, how it ended.
CREATE TABLE jobs (
  job_seq INTEGER PRIMARY KEY,
  job_id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  component_id TEXT,
  state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed', 'cancelled')),
  done INTEGER NOT NULL,
  total INTEGER,
  unit TEXT NOT NULL,
  result_json TEXT,
  error_json TEXT,
  created_at INTEGER NOT NULL,
  finished_at INTEGER
);

-- What is there already is indexed by a job at the next start.
INSERT INTO meta (key, value) VALUES ('search_stale', x'01');
