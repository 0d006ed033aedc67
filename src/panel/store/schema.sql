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

-- v4
ALTER TABLE audit ADD COLUMN kind TEXT NOT NULL DEFAULT 'profile';  -- admin-mode, profile, key, model, job, tool
ALTER TABLE audit ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;    -- it was tried, and did not happen
CREATE INDEX audit_by_kind ON audit (kind, seq);
CREATE INDEX audit_by_who ON audit (who, seq);
-- What was written down stays as it was written.
CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_kept BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;

CREATE TABLE arrivals (                         -- models on their way in
  id      TEXT PRIMARY KEY,
  profile TEXT NOT NULL,                        -- the admin who asked
  name    TEXT,                                 -- of the file below models/; none before a server has told it
  host    TEXT NOT NULL,                        -- where a download comes from; empty of an upload
  url     TEXT,                                 -- of a download; none where a part of it may be a secret
  bytes   INTEGER,                              -- of an upload: the whole file
  sha256  TEXT,                                 -- what it must be
  created INTEGER NOT NULL
) STRICT;

-- v5
-- Live terminals and what is left of them; their bytes lie in transcript files.
CREATE TABLE sessions (
  id       TEXT PRIMARY KEY,                    -- ulid
  tool     TEXT,                                -- none: a free shell
  action   TEXT NOT NULL,                       -- install, update, reinstall, start, shell
  profile  TEXT NOT NULL,                       -- who began it
  started  INTEGER NOT NULL,
  finished INTEGER,                             -- none: it runs, or the panel died with it
  outcome  TEXT,                                -- "code 0", "signal 9", "lost"
  bytes    INTEGER                              -- written in all; the file may hold fewer
) STRICT;
CREATE INDEX sessions_of_tool ON sessions (tool, id);

-- What is wanted of each tool, so that it is so again after a restart.
CREATE TABLE tools (
  id        TEXT PRIMARY KEY,
  wanted_by TEXT,                               -- the profile that started it; none: stopped
  opened    INTEGER                             -- when somebody last opened it
) STRICT;

-- v6
-- Pictures with captions, for training. Every change gives its dataset the next version, and what it changed carries it.
CREATE TABLE datasets (
  id           TEXT PRIMARY KEY,
  profile      TEXT NOT NULL,
  name         TEXT NOT NULL,
  trigger_word TEXT NOT NULL,                   -- may be empty
  version      INTEGER NOT NULL,
  created      INTEGER NOT NULL,
  changed      INTEGER NOT NULL
) STRICT;
CREATE INDEX datasets_of_profile ON datasets (profile, id);

CREATE TABLE dataset_pictures (
  id      TEXT PRIMARY KEY,                     -- names its file below datasets/
  dataset TEXT NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
  profile TEXT NOT NULL,
  name    TEXT NOT NULL,                        -- as it was called where it came from
  mime    TEXT NOT NULL,
  bytes   INTEGER NOT NULL,
  width   INTEGER NOT NULL,
  height  INTEGER NOT NULL,
  sha256  TEXT NOT NULL,
  caption TEXT NOT NULL,
  version INTEGER NOT NULL,                     -- of the dataset, when this was last changed
  created INTEGER NOT NULL,
  deleted INTEGER                               -- when; unlinked 30 s later
) STRICT;
CREATE INDEX dataset_pictures_of ON dataset_pictures (dataset, id);
CREATE INDEX dataset_pictures_same ON dataset_pictures (dataset, sha256);
CREATE INDEX dataset_pictures_of_profile ON dataset_pictures (profile);
CREATE INDEX dataset_pictures_deleted ON dataset_pictures (deleted) WHERE deleted IS NOT NULL;

CREATE TABLE dataset_undo (                     -- captions before the last change of many at once
  picture TEXT PRIMARY KEY REFERENCES dataset_pictures (id) ON DELETE CASCADE,
  dataset TEXT NOT NULL,
  caption TEXT NOT NULL,
  version INTEGER NOT NULL                      -- that the change gave: edited since then, it is not taken back
) STRICT;
CREATE INDEX dataset_undo_of ON dataset_undo (dataset);

CREATE TABLE dataset_uploads (
  id      TEXT PRIMARY KEY,
  profile TEXT NOT NULL,
  dataset TEXT NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
  name    TEXT NOT NULL,
  caption TEXT NOT NULL,
  bytes   INTEGER NOT NULL,                     -- of the whole file
  picture TEXT,                                 -- what it became, for a sender that lost the last answer
  whole   INTEGER NOT NULL DEFAULT 0,           -- an archive that is here, and waits to be unpacked
  created INTEGER NOT NULL
) STRICT;

CREATE TABLE captioner (                        -- the vision model; its key can be read, so it leaves by no road
  one         INTEGER PRIMARY KEY CHECK (one = 1),
  protocol    TEXT NOT NULL,                    -- anthropic, openai, gemini
  base_url    TEXT NOT NULL,
  model       TEXT NOT NULL,
  key         TEXT NOT NULL
) STRICT;

-- v7
-- The scripts of a tool that an admin has let run: a repository may change them by itself.
ALTER TABLE tools ADD COLUMN accepted TEXT;         -- SHA-256 of the scripts
ALTER TABLE tools ADD COLUMN accepted_commit TEXT;  -- of the repository that they came with

-- v8
-- Where a picture was made: easel, or comfyui, and then its recipe is what is known of it: its prompt, and whether the file
-- holds a workflow.
ALTER TABLE artifacts ADD COLUMN source TEXT NOT NULL DEFAULT 'easel';

-- v9
-- Which file is being uploaded, by samples of it: another of the same name and size is not gone on with.
ALTER TABLE arrivals ADD COLUMN mark TEXT;          -- 64 hex digits, the sender's
