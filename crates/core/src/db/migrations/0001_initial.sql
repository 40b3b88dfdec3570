CREATE TABLE components (
  component_id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  type TEXT NOT NULL CHECK (type IN ('frontend', 'backend')),
  description TEXT,
  author TEXT,
  license TEXT,
  manifest_json TEXT NOT NULL,
  autonomi_address TEXT,
  installed_at INTEGER NOT NULL,
  last_used INTEGER,
  UNIQUE (component_id, version)
);
CREATE INDEX idx_components_type ON components (type);
CREATE INDEX idx_components_installed ON components (installed_at DESC);

CREATE TABLE applications (
  application_id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  description TEXT,
  author TEXT,
  icon_blob_hash TEXT,
  manifest_json TEXT NOT NULL,
  autonomi_address TEXT,
  installed_at INTEGER NOT NULL,
  last_launched INTEGER,
  launch_count INTEGER DEFAULT 0,
  UNIQUE (application_id, version)
);
CREATE INDEX idx_applications_last_launched ON applications (last_launched DESC);

CREATE TABLE component_registry (
  component_id TEXT PRIMARY KEY REFERENCES components (component_id),
  version TEXT NOT NULL,
  pid INTEGER NOT NULL,
  endpoint TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('starting', 'running', 'stopping', 'stopped', 'crashed')),
  started_at INTEGER NOT NULL,
  last_heartbeat INTEGER,
  restart_count INTEGER DEFAULT 0
);
CREATE INDEX idx_registry_status ON component_registry (status);

CREATE TABLE keys_metadata (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  component_id TEXT NOT NULL,
  derivation_index INTEGER NOT NULL,
  public_key TEXT NOT NULL UNIQUE,
  key_type TEXT NOT NULL CHECK (key_type IN ('ml_dsa', 'ed25519', 'secp256k1')),
  purpose TEXT,
  created_at INTEGER NOT NULL,
  last_used INTEGER,
  UNIQUE (component_id, derivation_index)
);
CREATE INDEX idx_keys_component ON keys_metadata (component_id);
CREATE INDEX idx_keys_public ON keys_metadata (public_key);

CREATE TABLE wallet_transactions (
  tx_hash TEXT PRIMARY KEY,
  from_address TEXT NOT NULL,
  to_address TEXT NOT NULL,
  amount TEXT NOT NULL,
  token_address TEXT,
  network TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('pending', 'confirmed', 'failed')),
  gas_used TEXT,
  gas_price_gwei TEXT,
  purpose TEXT,
  component_id TEXT,
  timestamp INTEGER NOT NULL,
  confirmed_at INTEGER
);
CREATE INDEX idx_tx_from ON wallet_transactions (from_address, timestamp DESC);
CREATE INDEX idx_tx_status ON wallet_transactions (status);

CREATE TABLE autonomi_cache (
  autonomi_address TEXT PRIMARY KEY,
  content_hash TEXT NOT NULL,
  blob_hash TEXT NOT NULL,
  size INTEGER NOT NULL,
  data_type TEXT NOT NULL,
  cached_at INTEGER NOT NULL,
  last_accessed INTEGER NOT NULL,
  access_count INTEGER DEFAULT 1
);
CREATE INDEX idx_cache_accessed ON autonomi_cache (last_accessed);
CREATE INDEX idx_cache_content ON autonomi_cache (content_hash);

CREATE TABLE user_preferences (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL,
  updated_at INTEGER NOT NULL
);

CREATE TABLE schema_version (
  version INTEGER PRIMARY KEY,
  applied_at INTEGER NOT NULL,
  description TEXT
);
