-- The schema as numbered steps. Append only: a step that was released is never edited.
-- Times are milliseconds since 1970 in UTC; ids are ULIDs but where said otherwise.

-- v1
CREATE TABLE jobs (
  id            TEXT PRIMARY KEY,
  profile       TEXT NOT NULL,
  state         TEXT NOT NULL,              -- queued, running, done, failed, cancelled, parked
  created       INTEGER NOT NULL,
  started       INTEGER,                    -- the last start
  finished      INTEGER,
  starts        INTEGER NOT NULL DEFAULT 0, -- counted before dispatch, taken back by an orderly stop
  engine_deaths INTEGER NOT NULL DEFAULT 0, -- how many of those starts ended with the engine's death
  cancel        INTEGER NOT NULL DEFAULT 0, -- cancelling was acknowledged
  recipe        TEXT NOT NULL,              -- JSON
  problem       TEXT                        -- JSON, of failed and parked jobs
) STRICT;
CREATE INDEX jobs_of_profile ON jobs (profile, id);
CREATE INDEX jobs_unfinished ON jobs (state) WHERE state IN ('queued', 'running');

CREATE TABLE events (
  seq     INTEGER PRIMARY KEY AUTOINCREMENT,
  profile TEXT NOT NULL,
  job     TEXT NOT NULL,
  kind    TEXT NOT NULL,                    -- state, artifact
  body    TEXT NOT NULL,                    -- JSON, as it was announced
  created INTEGER NOT NULL
) STRICT;
CREATE INDEX events_of_profile ON events (profile, seq);

CREATE TABLE artifacts (
  id      TEXT PRIMARY KEY,
  profile TEXT NOT NULL,
  job     TEXT NOT NULL,
  idx     INTEGER NOT NULL,                 -- picture of the batch
  path    TEXT NOT NULL,                    -- below outputs/
  width   INTEGER NOT NULL,
  height  INTEGER NOT NULL,
  mime    TEXT NOT NULL,
  bytes   INTEGER NOT NULL,
  created INTEGER NOT NULL,
  model   TEXT NOT NULL,
  search  TEXT NOT NULL,                    -- prompts in lower case
  recipe  TEXT NOT NULL,                    -- JSON, of this picture alone
  deleted INTEGER,                          -- when; unlinked 30 s later
  UNIQUE (job, idx)
) STRICT;
CREATE INDEX artifacts_of_profile ON artifacts (profile, id) WHERE deleted IS NULL;
CREATE INDEX artifacts_deleted ON artifacts (deleted) WHERE deleted IS NOT NULL;

CREATE TABLE uploads (
  profile TEXT NOT NULL,
  sha256  TEXT NOT NULL,                    -- 64 hex digits
  bytes   INTEGER NOT NULL,
  width   INTEGER NOT NULL,
  height  INTEGER NOT NULL,
  created INTEGER NOT NULL,
  PRIMARY KEY (profile, sha256)
) STRICT;

CREATE TABLE upload_parts (
  id      TEXT PRIMARY KEY,
  profile TEXT NOT NULL,
  bytes   INTEGER NOT NULL,                 -- of the whole file; the offset is the part's length on disk
  sha256  TEXT,                             -- what the sender promised; of a finished one what it is
  finished INTEGER NOT NULL DEFAULT 0,      -- kept for a day, for a sender that lost the last answer
  created INTEGER NOT NULL
) STRICT;

CREATE TABLE idempotency (
  profile TEXT NOT NULL,
  key     TEXT NOT NULL,
  request TEXT NOT NULL,                    -- SHA-256 of the request
  job     TEXT NOT NULL,                    -- what it made
  created INTEGER NOT NULL,
  PRIMARY KEY (profile, key)
) STRICT;

-- v2
CREATE TABLE profiles (
  id                TEXT PRIMARY KEY,
  name              TEXT NOT NULL,
  role              TEXT NOT NULL,              -- artist, admin
  pending           TEXT,                       -- a higher role that waits for confirmation
  colour            INTEGER NOT NULL,           -- number of its avatar's colour
  pin               TEXT,                       -- argon2id, PHC
  pin_known         INTEGER NOT NULL,           -- had one at any time: the file's no longer counts
  password          TEXT,                       -- argon2id, PHC
  password_known    INTEGER NOT NULL,
  from_file         INTEGER NOT NULL,           -- users.toml named it
  disabled_by_file  INTEGER NOT NULL,           -- and stopped naming it
  disabled_by_admin INTEGER NOT NULL,
  theme             TEXT NOT NULL,              -- dark, light, system
  shortcuts         INTEGER NOT NULL,           -- single-letter keys
  created           INTEGER NOT NULL
) STRICT;

CREATE TABLE logins (
  token   BLOB PRIMARY KEY,                     -- SHA-256 of the cookie
  profile TEXT,                                 -- none before a profile is picked
  keyed   INTEGER NOT NULL,                     -- came through the studio key
  created INTEGER NOT NULL,
  seen    INTEGER NOT NULL                      -- to ten minutes
) STRICT;

CREATE TABLE api_tokens (
  token   BLOB PRIMARY KEY,                     -- SHA-256
  profile TEXT NOT NULL,
  created INTEGER NOT NULL
) STRICT;

CREATE TABLE keys (
  name    TEXT PRIMARY KEY,                     -- studio
  hash    BLOB NOT NULL,                        -- SHA-256
  created INTEGER NOT NULL
) STRICT;

CREATE TABLE tickets (
  ticket  BLOB PRIMARY KEY,                     -- SHA-256; the row goes when it is used
  kind    TEXT NOT NULL,                        -- studio, password
  profile TEXT,
  expires INTEGER NOT NULL
) STRICT;

CREATE TABLE guesses (
  account    TEXT PRIMARY KEY,                  -- key, pin:ID, password:ID
  wrong      INTEGER NOT NULL,
  not_before INTEGER NOT NULL,
  day        INTEGER NOT NULL,
  today      INTEGER NOT NULL
) STRICT;

CREATE TABLE audit (
  seq  INTEGER PRIMARY KEY AUTOINCREMENT,
  at   INTEGER NOT NULL,
  who  TEXT NOT NULL,                           -- a profile's id, "command line", "users.toml"
  what TEXT NOT NULL
) STRICT;

-- v3
-- From a reference picture to the recipes that need it. Recipes are JSON that Easel itself wrote.
CREATE INDEX jobs_with_image ON jobs (profile, json_extract(recipe, '$.image')) WHERE json_extract(recipe, '$.image') IS NOT NULL;
CREATE INDEX jobs_with_mask ON jobs (profile, json_extract(recipe, '$.mask')) WHERE json_extract(recipe, '$.mask') IS NOT NULL;
CREATE INDEX artifacts_with_image ON artifacts (profile, json_extract(recipe, '$.image')) WHERE json_extract(recipe, '$.image') IS NOT NULL;
CREATE INDEX artifacts_with_mask ON artifacts (profile, json_extract(recipe, '$.mask')) WHERE json_extract(recipe, '$.mask') IS NOT NULL;
CREATE INDEX uploads_by_age ON uploads (created);
