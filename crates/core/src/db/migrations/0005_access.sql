-- Tokens of components. A token has 256 random bits, so a plain hash of it tells nothing.
CREATE TABLE access_tokens (
  id INTEGER PRIMARY KEY,
  token_id TEXT NOT NULL UNIQUE,
  token_hash BLOB NOT NULL CHECK (length(token_hash) = 32),
  component_id TEXT NOT NULL,
  name TEXT,
  scopes_json TEXT,
  created_at INTEGER NOT NULL,
  expires_at INTEGER
);
CREATE INDEX idx_tokens_component ON access_tokens (component_id, id);

-- Sockets that are bound to components; those with an empty path lie at the place that the daemon
-- chooses at each start.
CREATE TABLE component_sockets (
  component_id TEXT NOT NULL,
  path TEXT NOT NULL,
  scopes_json TEXT,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (component_id, path)
) WITHOUT ROWID;
CREATE UNIQUE INDEX idx_sockets_path ON component_sockets (path) WHERE path <> '';
