//! Every SQL text of Easel, as named constants. Knows no types.

/// The numbered steps of the schema.
pub(super) const SCHEMA: &str = include_str!("schema.sql");
/// Step that this store is at.
pub(super) const VERSION: &str = "PRAGMA user_version";
/// Settings on a local disk.
pub(super) const LOCAL: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000; \
     PRAGMA foreign_keys = ON; PRAGMA cache_size = -8000;";
/// Settings on a network file system, where shared memory and locks cannot be trusted. A file that was ever on a local disk
/// says of itself that it has a write-ahead log; without shared memory only who has it alone can read that and put an end to it.
pub(super) const NETWORK: &str = "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; \
     PRAGMA locking_mode = NORMAL; PRAGMA synchronous = EXTRA; PRAGMA foreign_keys = ON; \
     PRAGMA cache_size = -8000;";
/// "ok", or what is damaged.
pub(super) const CHECK: &str = "PRAGMA quick_check(5)";
/// A consistent copy into a file that does not exist yet.
pub(super) const COPY: &str = "VACUUM INTO ?1";

/// The last event's number.
pub(super) const EVENT_LAST: &str = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'";
/// A new event.
pub(super) const EVENT_INSERT: &str = "INSERT INTO events (profile, job, kind, body, created) VALUES (?1, ?2, ?3, ?4, ?5)";
/// Events of a profile, of one job or of all, after one number up to another.
pub(super) const EVENTS_AFTER: &str = "SELECT seq, job, kind, body FROM events WHERE profile = ?1 AND seq > ?2 AND seq <= ?3 \
     AND (?4 IS NULL OR job = ?4) ORDER BY seq";
/// Old events.
pub(super) const EVENTS_PRUNE: &str = "DELETE FROM events WHERE created < ?1";

/// A new job.
pub(super) const JOB_INSERT: &str = "INSERT INTO jobs (id, profile, state, created, recipe) VALUES (?1, ?2, 'queued', ?3, ?4)";
/// One job.
pub(super) const JOB: &str = "SELECT * FROM jobs WHERE id = ?1";
/// A job's transition.
pub(super) const JOB_UPDATE: &str = "UPDATE jobs SET state = ?2, started = ?3, finished = ?4, starts = ?5, \
     engine_deaths = ?6, cancel = ?7, problem = ?8 WHERE id = ?1";
/// Jobs of a profile, newest first.
pub(super) const JOBS_PAGE: &str = "SELECT * FROM jobs WHERE profile = ?1 AND (?2 IS NULL OR state = ?2) \
     AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4";
/// Jobs that wait or run, oldest first.
pub(super) const JOBS_UNFINISHED: &str = "SELECT * FROM jobs WHERE state IN ('queued', 'running') ORDER BY id";
/// How many jobs of a profile wait or run.
pub(super) const JOBS_WAITING: &str = "SELECT count(*) FROM jobs WHERE profile = ?1 AND state IN ('queued', 'running')";
/// When each profile last started a job.
pub(super) const JOBS_LAST_STARTS: &str =
    "SELECT profile, max(started) AS started FROM jobs WHERE started IS NOT NULL GROUP BY profile";
/// The last finished jobs, for estimates.
pub(super) const JOBS_LAST_DONE: &str = "SELECT * FROM jobs WHERE state = 'done' ORDER BY id DESC LIMIT 50";
/// What a key made.
pub(super) const KEY: &str = "SELECT request, job FROM idempotency WHERE profile = ?1 AND key = ?2";
/// Remembers what a key made.
pub(super) const KEY_INSERT: &str = "INSERT INTO idempotency (profile, key, request, job, created) VALUES (?1, ?2, ?3, ?4, ?5)";
/// Forgets old keys.
pub(super) const KEYS_PRUNE: &str = "DELETE FROM idempotency WHERE created < ?1";

/// A new artifact; nothing where that picture of the job exists.
pub(super) const ARTIFACT_INSERT: &str = "INSERT INTO artifacts (id, profile, job, idx, path, width, height, mime, bytes, \
     created, model, search, recipe, source) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
     ON CONFLICT (job, idx) DO NOTHING";
/// One artifact of a profile, deleted or not.
pub(super) const ARTIFACT: &str = "SELECT * FROM artifacts WHERE profile = ?1 AND id = ?2";
/// Which pictures a job has already, deleted or not.
pub(super) const ARTIFACT_INDEXES: &str = "SELECT idx FROM artifacts WHERE job = ?1";
/// A job's pictures.
pub(super) const ARTIFACTS_OF_JOB: &str = "SELECT * FROM artifacts WHERE job = ?1 AND deleted IS NULL ORDER BY idx";
/// The newest that the studio itself made.
pub(super) const ARTIFACTS_MADE_HERE: &str = "SELECT * FROM artifacts WHERE profile = ?1 AND deleted IS NULL \
     AND source = 'easel' ORDER BY id DESC LIMIT ?2";
/// A page of a gallery, newest first.
pub(super) const ARTIFACTS_PAGE: &str = "SELECT * FROM artifacts WHERE profile = ?1 AND deleted IS NULL \
     AND (?2 IS NULL OR id < ?2) AND (?3 IS NULL OR instr(search, ?3) > 0) AND (?4 IS NULL OR model = ?4) \
     AND (?5 IS NULL OR created >= ?5) AND (?6 IS NULL OR created < ?6) ORDER BY id DESC LIMIT ?7";
/// How many pictures such a gallery has.
pub(super) const ARTIFACTS_COUNT: &str = "SELECT count(*) FROM artifacts WHERE profile = ?1 AND deleted IS NULL \
     AND (?2 IS NULL OR instr(search, ?2) > 0) AND (?3 IS NULL OR model = ?3) \
     AND (?4 IS NULL OR created >= ?4) AND (?5 IS NULL OR created < ?5)";
/// A whole gallery in four numbers a picture, newest first.
pub(super) const ARTIFACTS_LAYOUT: &str = "SELECT id, width, height, created FROM artifacts WHERE profile = ?1 \
     AND deleted IS NULL AND (?2 IS NULL OR instr(search, ?2) > 0) AND (?3 IS NULL OR model = ?3) \
     AND (?4 IS NULL OR created >= ?4) AND (?5 IS NULL OR created < ?5) ORDER BY id DESC";
/// How many are newer than one, and the ids next to it: newer, older.
pub(super) const ARTIFACT_NEIGHBOURS: &str = "SELECT count(*), min(id), (SELECT max(id) FROM artifacts WHERE profile = ?1 \
     AND deleted IS NULL AND id < ?2) FROM artifacts WHERE profile = ?1 AND deleted IS NULL AND id > ?2";
/// Marks one as deleted.
pub(super) const ARTIFACT_DELETE: &str = "UPDATE artifacts SET deleted = ?3 WHERE profile = ?1 AND id = ?2 AND deleted IS NULL";
/// Takes the mark away.
pub(super) const ARTIFACT_RESTORE: &str = "UPDATE artifacts SET deleted = NULL WHERE profile = ?1 AND id = ?2 AND deleted > ?3";
/// Marked long enough ago.
pub(super) const ARTIFACTS_EXPIRED: &str = "SELECT * FROM artifacts WHERE deleted <= ?1 LIMIT 500";
/// Forgets one that is still marked, and was long enough ago.
pub(super) const ARTIFACT_FORGET: &str = "DELETE FROM artifacts WHERE id = ?1 AND deleted <= ?2";

/// A finished upload; the same file twice is one.
pub(super) const UPLOAD_INSERT: &str = "INSERT INTO uploads (profile, sha256, bytes, width, height, created) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET created = excluded.created";
/// One upload.
pub(super) const UPLOAD: &str = "SELECT * FROM uploads WHERE profile = ?1 AND sha256 = ?2";
/// An upload is used again: its age begins anew.
pub(super) const UPLOAD_TOUCH: &str = "UPDATE uploads SET created = ?3 WHERE profile = ?1 AND sha256 = ?2";
/// Forgets uploads from before ?1 that no picture needs, nor a job that is not over or was over after ?2.
pub(super) const UPLOADS_UNNEEDED: &str = "DELETE FROM uploads WHERE rowid IN (SELECT u.rowid FROM uploads u WHERE u.created < ?1 \
     AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.profile = u.profile \
       AND json_extract(j.recipe, '$.image') = 'upload:' || u.sha256 AND coalesce(j.finished, ?2 + 1) > ?2) \
     AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.profile = u.profile \
       AND json_extract(j.recipe, '$.mask') = 'upload:' || u.sha256 AND coalesce(j.finished, ?2 + 1) > ?2) \
     AND NOT EXISTS (SELECT 1 FROM artifacts a WHERE a.profile = u.profile \
       AND json_extract(a.recipe, '$.image') = 'upload:' || u.sha256) \
     AND NOT EXISTS (SELECT 1 FROM artifacts a WHERE a.profile = u.profile \
       AND json_extract(a.recipe, '$.mask') = 'upload:' || u.sha256) LIMIT 100) RETURNING profile, sha256";
/// Bytes of a profile's uploads, finished and promised.
pub(super) const UPLOAD_BYTES: &str = "SELECT (SELECT coalesce(sum(bytes), 0) FROM uploads WHERE profile = ?1) \
     + (SELECT coalesce(sum(bytes), 0) FROM upload_parts WHERE profile = ?1 AND NOT finished)";
/// A new unfinished upload.
pub(super) const PART_INSERT: &str = "INSERT INTO upload_parts (id, profile, bytes, sha256, created) VALUES (?1, ?2, ?3, ?4, ?5)";
/// One unfinished upload.
pub(super) const PART: &str = "SELECT bytes, sha256, finished FROM upload_parts WHERE profile = ?1 AND id = ?2";
/// How many unfinished uploads a profile has.
pub(super) const PARTS_COUNT: &str = "SELECT count(*) FROM upload_parts WHERE profile = ?1 AND NOT finished";
/// It is finished; its row tells a sender that lost the answer.
pub(super) const PART_FINISH: &str = "UPDATE upload_parts SET finished = TRUE, sha256 = ?2 WHERE id = ?1";
/// It is given up.
pub(super) const PART_DELETE: &str = "DELETE FROM upload_parts WHERE id = ?1";
/// Uploads that were begun before a time.
pub(super) const PARTS_STALE: &str = "SELECT id, profile FROM upload_parts WHERE created < ?1";
/// Every profile, in the order in which they were made.
pub(super) const PROFILES: &str = "SELECT id, name, role, pending, colour, pin, pin_known, password, password_known, \
     from_file, disabled_by_file, disabled_by_admin, theme, shortcuts, created FROM profiles ORDER BY created, id";
/// Writes a whole profile.
pub(super) const PUT_PROFILE: &str = "INSERT OR REPLACE INTO profiles (id, name, role, pending, colour, pin, pin_known, \
     password, password_known, from_file, disabled_by_file, disabled_by_admin, theme, shortcuts, created) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
/// Every login.
pub(super) const LOGINS: &str = "SELECT token, profile, keyed, created, seen FROM logins";
/// Writes a login.
pub(super) const PUT_LOGIN: &str =
    "INSERT OR REPLACE INTO logins (token, profile, keyed, created, seen) VALUES (?1, ?2, ?3, ?4, ?5)";
/// Ends a login.
pub(super) const END_LOGIN: &str = "DELETE FROM logins WHERE token = ?1";
/// Ends the logins of a profile.
pub(super) const END_LOGINS_OF: &str = "DELETE FROM logins WHERE profile = ?1";
/// Ends all logins.
pub(super) const END_LOGINS: &str = "DELETE FROM logins";
/// Ends logins that began before ?1 or were not seen since ?2.
pub(super) const END_OLD_LOGINS: &str = "DELETE FROM logins WHERE created < ?1 OR seen < ?2";
/// Every API token.
pub(super) const TOKENS: &str = "SELECT token, profile FROM api_tokens";
/// A new API token.
pub(super) const PUT_TOKEN: &str = "INSERT INTO api_tokens (token, profile, created) VALUES (?1, ?2, ?3)";
/// Forgets the API tokens of a profile.
pub(super) const END_TOKENS_OF: &str = "DELETE FROM api_tokens WHERE profile = ?1";
/// The hash of a key.
pub(super) const STUDIO_KEY: &str = "SELECT hash FROM keys WHERE name = ?1";
/// A new key in place of the old one.
pub(super) const PUT_KEY: &str = "INSERT OR REPLACE INTO keys (name, hash, created) VALUES (?1, ?2, ?3)";
/// A new ticket.
pub(super) const PUT_TICKET: &str = "INSERT INTO tickets (ticket, kind, profile, expires) VALUES (?1, ?2, ?3, ?4)";
/// Uses a ticket up; nothing comes back where there is none.
pub(super) const TAKE_TICKET: &str = "DELETE FROM tickets WHERE ticket = ?1 AND kind = ?2 RETURNING profile, expires";
/// Forgets tickets that can no longer be used.
pub(super) const END_OLD_TICKETS: &str = "DELETE FROM tickets WHERE expires < ?1";
/// Forgets every ticket.
pub(super) const END_TICKETS: &str = "DELETE FROM tickets";
/// The guesses of an account.
pub(super) const GUESSES: &str = "SELECT wrong, not_before, day, today FROM guesses WHERE account = ?1";
/// Writes the guesses of an account.
pub(super) const PUT_GUESSES: &str =
    "INSERT OR REPLACE INTO guesses (account, wrong, not_before, day, today) VALUES (?1, ?2, ?3, ?4, ?5)";
/// Forgets the guesses of an account.
pub(super) const END_GUESSES: &str = "DELETE FROM guesses WHERE account = ?1";
/// Forgets guesses that no longer matter: those whose day began, and whose wait ended, before ?1.
pub(super) const END_OLD_GUESSES: &str = "DELETE FROM guesses WHERE day < ?1 AND not_before < ?1";
/// A line of the audit trail.
pub(super) const AUDIT_INSERT: &str = "INSERT INTO audit (at, who, kind, what, refused) VALUES (?1, ?2, ?3, ?4, ?5)";
/// Lines of the audit trail, newest first.
pub(super) const AUDIT_PAGE: &str = "SELECT seq, at, who, kind, what, refused FROM audit WHERE (?1 IS NULL OR seq < ?1) \
     AND (?2 IS NULL OR kind = ?2) AND (?3 IS NULL OR who = ?3) AND (?4 IS NULL OR refused = ?4) \
     AND (?5 IS NULL OR instr(lower(what), ?5) > 0) ORDER BY seq DESC LIMIT ?6";
/// Everybody who stands in the audit trail.
pub(super) const AUDIT_PEOPLE: &str = "SELECT DISTINCT who FROM audit ORDER BY who";
/// Jobs of everybody, newest first.
pub(super) const JOBS_OF_ALL: &str = "SELECT * FROM jobs WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR profile = ?2) \
     AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4";
/// How many pictures each profile keeps.
pub(super) const ARTIFACTS_OF_EACH: &str = "SELECT profile, count(*) FROM artifacts WHERE deleted IS NULL GROUP BY profile";
/// A model on its way in.
pub(super) const ARRIVAL_INSERT: &str = "INSERT INTO arrivals (id, profile, name, host, url, bytes, sha256, mark, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
/// All of them, oldest first.
pub(super) const ARRIVALS: &str = "SELECT * FROM arrivals ORDER BY id";
/// The server told its name.
pub(super) const ARRIVAL_NAME: &str = "UPDATE arrivals SET name = ?2 WHERE id = ?1";
/// It is there, or was given up.
pub(super) const ARRIVAL_DELETE: &str = "DELETE FROM arrivals WHERE id = ?1";

/// A session begins.
pub(super) const SESSION_INSERT: &str = "INSERT INTO sessions (id, tool, action, profile, started) VALUES (?1, ?2, ?3, ?4, ?5)";
/// It has ended.
pub(super) const SESSION_END: &str = "UPDATE sessions SET finished = ?2, outcome = ?3, bytes = ?4 WHERE id = ?1";
/// Sessions that a panel left behind when it died.
pub(super) const SESSIONS_LOST: &str = "UPDATE sessions SET finished = ?1, outcome = 'lost' WHERE finished IS NULL";
/// One session.
pub(super) const SESSION: &str = "SELECT * FROM sessions WHERE id = ?1";
/// Sessions, newest first: of one tool or of all, before an id.
pub(super) const SESSIONS: &str = "SELECT * FROM sessions WHERE (?1 IS NULL OR tool = ?1) AND (?2 IS NULL OR id < ?2) \
     ORDER BY id DESC LIMIT ?3";
/// Old sessions, but not the newest of each tool.
pub(super) const SESSIONS_PRUNE: &str = "DELETE FROM sessions WHERE finished IS NOT NULL AND id NOT IN \
     (SELECT max(id) FROM sessions GROUP BY tool, action) AND (finished < ?1 OR id IN \
     (SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY tool, action ORDER BY id DESC) AS age FROM sessions) \
     WHERE age > ?2)) RETURNING id, tool";
/// Who wants a tool to run.
pub(super) const TOOL_WANT: &str =
    "INSERT INTO tools (id, wanted_by) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET wanted_by = excluded.wanted_by";
/// A tool was opened.
pub(super) const TOOL_OPENED: &str =
    "INSERT INTO tools (id, opened) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET opened = excluded.opened";
/// The scripts of a tool that an admin lets run.
pub(super) const TOOL_ACCEPT: &str = "INSERT INTO tools (id, accepted, accepted_commit) VALUES (?1, ?2, ?3) \
     ON CONFLICT (id) DO UPDATE SET accepted = excluded.accepted, accepted_commit = excluded.accepted_commit";
/// Of every tool.
pub(super) const TOOLS_ACCEPTED: &str = "SELECT id, accepted, accepted_commit FROM tools WHERE accepted IS NOT NULL";
/// What is wanted of every tool.
pub(super) const TOOLS: &str = "SELECT id, wanted_by, opened FROM tools";

/// A new dataset.
pub(super) const DATASET_INSERT: &str = "INSERT INTO datasets (id, profile, name, trigger_word, version, created, changed) \
     VALUES (?1, ?2, ?3, ?4, 1, ?5, ?5)";
/// Datasets of a profile, the last changed first, with what is in each: one, or all.
pub(super) const DATASETS: &str = "SELECT d.*, count(p.id) AS pictures, count(p.id) FILTER (WHERE p.caption <> '') AS captioned, \
     coalesce(sum(p.bytes), 0) AS bytes, (SELECT count(*) FROM dataset_undo u WHERE u.dataset = d.id) AS undo \
     FROM datasets d LEFT JOIN dataset_pictures p ON p.dataset = d.id AND p.deleted IS NULL \
     WHERE d.profile = ?1 AND (?2 IS NULL OR d.id = ?2) GROUP BY d.id ORDER BY d.changed DESC, d.id DESC";
/// Gives a dataset its next version.
pub(super) const DATASET_BUMP: &str =
    "UPDATE datasets SET version = version + 1, changed = ?3 WHERE profile = ?1 AND id = ?2 RETURNING version";
/// Its name and trigger word.
pub(super) const DATASET_RENAME: &str = "UPDATE datasets SET name = ?2, trigger_word = ?3 WHERE id = ?1";
/// It goes, with the rows of its pictures.
pub(super) const DATASET_DELETE: &str = "DELETE FROM datasets WHERE profile = ?1 AND id = ?2";
/// Pictures of a dataset that changed after a version, in the order in which they came.
pub(super) const DATASET_PICTURES: &str =
    "SELECT * FROM dataset_pictures WHERE dataset = ?1 AND deleted IS NULL AND version > ?2 ORDER BY id";
/// The first pictures of a dataset.
pub(super) const DATASET_FIRST: &str =
    "SELECT id FROM dataset_pictures WHERE dataset = ?1 AND deleted IS NULL ORDER BY id LIMIT ?2";
/// Every picture's file of a dataset, deleted ones too: id and media type.
pub(super) const DATASET_FILES: &str = "SELECT id, mime FROM dataset_pictures WHERE dataset = ?1";
/// One picture of a profile.
pub(super) const DATASET_PICTURE: &str = "SELECT * FROM dataset_pictures WHERE profile = ?1 AND id = ?2";
/// A picture with this content in a dataset, deleted or not.
pub(super) const DATASET_SAME: &str =
    "SELECT * FROM dataset_pictures WHERE dataset = ?1 AND sha256 = ?2 ORDER BY deleted IS NOT NULL";
/// A new picture.
pub(super) const DATASET_PICTURE_INSERT: &str = "INSERT INTO dataset_pictures (id, dataset, profile, name, mime, bytes, width, \
     height, sha256, caption, version, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
/// How many pictures a dataset has, deleted ones too: they can come back.
pub(super) const DATASET_COUNT: &str = "SELECT count(*) FROM dataset_pictures WHERE dataset = ?1";
/// Bytes of a profile's datasets, and of what is on its way into them.
pub(super) const DATASET_BYTES: &str = "SELECT (SELECT coalesce(sum(bytes), 0) FROM dataset_pictures WHERE profile = ?1) \
     + (SELECT coalesce(sum(bytes), 0) FROM dataset_uploads WHERE profile = ?1 AND picture IS NULL)";
/// A caption.
pub(super) const DATASET_CAPTION: &str = "UPDATE dataset_pictures SET caption = ?2, version = ?3 WHERE id = ?1";
/// Marks a picture as deleted.
pub(super) const DATASET_PICTURE_DELETE: &str =
    "UPDATE dataset_pictures SET deleted = ?2, version = ?3 WHERE id = ?1 AND deleted IS NULL";
/// Takes the mark away.
pub(super) const DATASET_PICTURE_RESTORE: &str =
    "UPDATE dataset_pictures SET deleted = NULL, version = ?3 WHERE id = ?1 AND deleted > ?2";
/// Marked long enough ago.
pub(super) const DATASET_PICTURES_EXPIRED: &str = "SELECT * FROM dataset_pictures WHERE deleted <= ?1 LIMIT 500";
/// Forgets one that is still marked, and was long enough ago.
pub(super) const DATASET_PICTURE_FORGET: &str = "DELETE FROM dataset_pictures WHERE id = ?1 AND deleted <= ?2";
/// Whether a file below datasets/ is still somebody's.
pub(super) const DATASET_FILE_KNOWN: &str = "SELECT EXISTS (SELECT 1 FROM dataset_pictures WHERE profile = ?1 AND id = ?2) \
     OR EXISTS (SELECT 1 FROM dataset_uploads WHERE profile = ?1 AND id = ?2)";
/// A caption before a change of many.
pub(super) const DATASET_UNDO_PUT: &str =
    "INSERT OR REPLACE INTO dataset_undo (picture, dataset, caption, version) VALUES (?1, ?2, ?3, ?4)";
/// What can be taken back: pictures that nobody edited since.
pub(super) const DATASET_UNDO: &str = "SELECT u.picture, u.caption FROM dataset_undo u JOIN dataset_pictures p \
     ON p.id = u.picture AND p.version = u.version WHERE u.dataset = ?1";
/// How many captions the last change of many changed.
pub(super) const DATASET_UNDO_COUNT: &str = "SELECT count(*) FROM dataset_undo WHERE dataset = ?1";
/// Forgets the last change of many.
pub(super) const DATASET_UNDO_END: &str = "DELETE FROM dataset_undo WHERE dataset = ?1";
/// A file begins to come.
pub(super) const DATASET_UPLOAD_INSERT: &str = "INSERT INTO dataset_uploads (id, profile, dataset, name, caption, bytes, created) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
/// One of them.
pub(super) const DATASET_UPLOAD: &str = "SELECT * FROM dataset_uploads WHERE profile = ?1 AND id = ?2";
/// How many of a profile are under way.
pub(super) const DATASET_UPLOADS_COUNT: &str = "SELECT count(*) FROM dataset_uploads WHERE profile = ?1 AND picture IS NULL";
/// It became a picture.
pub(super) const DATASET_UPLOAD_TAKEN: &str = "UPDATE dataset_uploads SET picture = ?2 WHERE id = ?1";
/// It is an archive, and all here.
pub(super) const DATASET_UPLOAD_WHOLE: &str = "UPDATE dataset_uploads SET whole = TRUE WHERE id = ?1";
/// Archives that wait to be unpacked, oldest first: of one dataset, or all.
pub(super) const DATASET_UPLOADS_WHOLE: &str =
    "SELECT * FROM dataset_uploads WHERE whole AND (?1 IS NULL OR dataset = ?1) ORDER BY id";
/// Uploads of a dataset.
pub(super) const DATASET_UPLOADS_OF: &str = "SELECT * FROM dataset_uploads WHERE dataset = ?1";
/// Uploads that were begun before a time, and are not all here.
pub(super) const DATASET_UPLOADS_STALE: &str = "SELECT * FROM dataset_uploads WHERE created < ?1 AND NOT whole";
/// It is given up, or done.
pub(super) const DATASET_UPLOAD_END: &str = "DELETE FROM dataset_uploads WHERE id = ?1";
/// The vision model.
pub(super) const CAPTIONER: &str = "SELECT protocol, base_url, model, key FROM captioner";
/// Another vision model.
pub(super) const CAPTIONER_PUT: &str =
    "INSERT OR REPLACE INTO captioner (one, protocol, base_url, model, key) VALUES (1, ?1, ?2, ?3, ?4)";
/// None any more.
pub(super) const CAPTIONER_END: &str = "DELETE FROM captioner";
