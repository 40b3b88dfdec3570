-- What the daemon knows of itself: the id of this data root, the check value of its master key.
CREATE TABLE meta (
  key TEXT PRIMARY KEY NOT NULL,
  value BLOB NOT NULL
) WITHOUT ROWID;

-- Each committed change of a record. A record's revision is the seq of its last change.
CREATE TABLE change_feed (
  seq INTEGER PRIMARY KEY,
  namespace TEXT NOT NULL,
  key_json TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('put', 'delete'))
);

-- The ranges of seq that this database has lived through, one for each start of the daemon; the last
-- one is open. A position in none of them is from another life: an older copy was put back.
CREATE TABLE feed_ranges (
  first_seq INTEGER PRIMARY KEY,
  last_seq INTEGER
);

-- Answers of calls that carried a requestId, for those that repeat them.
CREATE TABLE request_answers (
  id INTEGER PRIMARY KEY,
  caller TEXT NOT NULL,
  request_id TEXT NOT NULL,
  method TEXT NOT NULL,
  params_hash BLOB NOT NULL,
  answer TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (caller, request_id)
);

-- A row from before revisions has revision 1: no change is ever numbered so low, and 0 means absent.
ALTER TABLE components ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
ALTER TABLE user_preferences ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;

-- The order of last use; the clock's time stands beside it for display.
ALTER TABLE components ADD COLUMN last_used_seq INTEGER;
UPDATE components SET last_used_seq = ranked.position
  FROM (SELECT component_id, row_number() OVER (ORDER BY last_used, component_id) AS position
        FROM components WHERE last_used IS NOT NULL) AS ranked
  WHERE components.component_id = ranked.component_id;
CREATE INDEX idx_components_last_used ON components (last_used_seq, component_id);
CREATE INDEX idx_components_name ON components (name, component_id);
CREATE INDEX idx_components_installed_id ON components (installed_at, component_id);

-- What a component's manifest asks for. Rows are written by components.put.
CREATE TABLE component_dependencies (
  component_id TEXT NOT NULL REFERENCES components (component_id) ON DELETE CASCADE,
  dependency_id TEXT NOT NULL,
  requirement TEXT,
  PRIMARY KEY (component_id, dependency_id)
) WITHOUT ROWID;
CREATE INDEX idx_dependencies_of ON component_dependencies (dependency_id, component_id);
