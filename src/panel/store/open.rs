//! Opening the store: modes by kind of disk, check, copy, schema steps. Knows no table.

use super::sql;
use rusqlite::{Connection, OpenFlags};
use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// Name of the store in its folder.
pub const FILE: &str = "easel.db";
/// Folder of copies, beside it.
const COPIES: &str = "copies";
/// Age at which the newest copy is too old.
const COPY_EVERY: Duration = Duration::from_secs(24 * 3600);
/// Copies kept.
const KEEP_COPIES: usize = 3;

/// Why a store cannot be opened; the words tell what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made or read.
    #[error("the store's folder cannot be used: {0}")]
    Folder(#[from] io::Error),
    /// The disk or its rights are in the way; nothing is said of what is in the file.
    #[error(
        "the store {} cannot be opened ({why}). Nothing was changed. Look whether Easel may read and write there, and whether \
         the disk has space and answers; then start again", .file.display()
    )]
    Unusable {
        /// The store.
        file: PathBuf,
        /// SQLite's words.
        why: String,
    },
    /// Not a sound SQLite file.
    #[error("{}", damaged(.file, .why, .copy.as_deref()))]
    Damaged {
        /// The store.
        file: PathBuf,
        /// What the check said.
        why: String,
        /// The newest copy.
        copy: Option<PathBuf>,
    },
    /// Written by a newer Easel.
    #[error("{} was written by a newer Easel (schema {found}, this build knows {known}); start that one", .file.display())]
    Newer {
        /// The store.
        file: PathBuf,
        /// Its schema.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// A schema step failed; the store is as it was.
    #[error("the store could not be brought to schema {step}: {why}")]
    Migration {
        /// The step.
        step: usize,
        /// SQLite's words.
        why: rusqlite::Error,
    },
}

fn damaged(file: &Path, why: &str, copy: Option<&Path>) -> String {
    let file = file.display();
    let next = match copy {
        Some(copy) => format!(
            "The last copy is {copy}. To go on with it: mv {file} {file}.damaged; rm -f {file}-wal {file}-shm; cp {copy} {file}",
            copy = copy.display()
        ),
        None => format!("There is no copy. To begin anew, keeping all pictures on disk: mv {file} {file}.damaged"),
    };
    format!("the store {file} is damaged ({why}). Nothing was changed. {next}")
}

/// The kind of file system that a store lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A disk of this machine.
    Local,
    /// Shared with other machines, or unknown behind FUSE.
    Network,
}

/// Magic numbers of statfs(2) for file systems whose locks and shared memory cannot be trusted: NFS, SMB,
/// CIFS, SMB2, FUSE, Ceph, 9p, Lustre, GPFS, AFS, OCFS2.
const NETWORK_MAGIC: [i64; 11] = [
    0x6969,
    0x517B,
    0xFF53_4D42,
    0xFE53_4D42,
    0x6573_5546,
    0x00C3_6400,
    0x0102_1997,
    0x0BD0_0BD0,
    0x4750_4653,
    0x5346_414F,
    0x7461_636F,
];

impl Place {
    /// Where `folder` lies. Makes it, readable by its owner alone.
    pub fn of(folder: &Path) -> io::Result<Place> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        let magic = rustix::fs::statfs(folder)?.f_type;
        #[allow(clippy::unnecessary_cast, reason = "the type of f_type differs between architectures")]
        let network = NETWORK_MAGIC.contains(&(magic as i64));
        Ok(if network { Place::Network } else { Place::Local })
    }
}

/// The writer's connection.
pub(super) fn open(folder: &Path, place: Place) -> Result<Connection, OpenError> {
    let file = folder.join(FILE);
    let refused = |e| refused(folder, &e);
    let mut connection = connect(&file, place).map_err(refused)?;
    let settings = if place == Place::Local { sql::LOCAL } else { sql::NETWORK };
    connection.execute_batch(settings).map_err(refused)?;
    let verdict: String = connection.query_row(sql::CHECK, [], |row| row.get(0)).map_err(refused)?;
    if verdict != "ok" {
        let why = verdict.lines().next().unwrap_or_default().to_owned();
        return Err(OpenError::Damaged { file, why, copy: newest_copy(folder) });
    }
    migrate(&mut connection, folder)?;
    Ok(connection)
}

/// A connection beside the writer's, for questions.
pub(super) fn second(folder: &Path) -> Result<Connection, OpenError> {
    let open = || {
        let connection = connect(&folder.join(FILE), Place::Local)?;
        connection.execute_batch(sql::LOCAL)?;
        Ok(connection)
    };
    open().map_err(|e| refused(folder, &e))
}

/// Why SQLite did not open the store. Only some of its words are about what is in the file: whoever hears that it is damaged
/// goes back to a copy.
fn refused(folder: &Path, e: &rusqlite::Error) -> OpenError {
    use rusqlite::ErrorCode as Code;
    let (file, why) = (folder.join(FILE), e.to_string());
    match e.sqlite_error_code() {
        Some(
            Code::CannotOpen
            | Code::SystemIoFailure
            | Code::ReadOnly
            | Code::PermissionDenied
            | Code::DiskFull
            | Code::DatabaseBusy
            | Code::DatabaseLocked
            | Code::FileLockingProtocolFailed
            | Code::OutOfMemory,
        ) => OpenError::Unusable { file, why },
        _ => OpenError::Damaged { file, why, copy: newest_copy(folder) },
    }
}

fn connect(file: &Path, place: Place) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    match place {
        Place::Local => Connection::open_with_flags(file, flags),
        // The lease on the data folder keeps everybody else away, so SQLite need not lock.
        Place::Network => Connection::open_with_flags_and_vfs(file, flags, "unix-none"),
    }
}

/// The steps of the schema, first to last: the text between one `-- vN` line and the next.
fn steps() -> Vec<&'static str> {
    sql::SCHEMA.split("\n-- v").skip(1).map(|step| step.split_once('\n').map_or("", |(_, text)| text)).collect()
}

fn migrate(connection: &mut Connection, folder: &Path) -> Result<(), OpenError> {
    let steps = steps();
    let at = |step| move |why| OpenError::Migration { step, why };
    let found: i64 = connection.query_row(sql::VERSION, [], |row| row.get(0)).map_err(at(0))?;
    let found = usize::try_from(found).unwrap_or(usize::MAX);
    if found > steps.len() {
        return Err(OpenError::Newer { file: folder.join(FILE), found, known: steps.len() });
    }
    if found > 0 && found < steps.len() {
        copy(connection, folder, &format!("before-schema-{}", found + 1)).map_err(at(found + 1))?;
    }
    for (i, step) in steps.iter().enumerate().skip(found) {
        let apply = |connection: &mut Connection| {
            let change = connection.transaction()?;
            change.execute_batch(step)?;
            change.pragma_update(None, "user_version", i64::try_from(i + 1).unwrap_or(i64::MAX))?;
            change.commit()
        };
        apply(connection).map_err(at(i + 1))?;
    }
    Ok(())
}

/// Copies the store to `copies/NAME.db` and forgets the oldest copies. One that fails leaves nothing behind, and where the disk
/// has no room for it none is begun: it would take the last of it from whoever makes pictures.
pub(super) fn copy(connection: &Connection, folder: &Path, name: &str) -> rusqlite::Result<()> {
    let failed = |e: io::Error| {
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR), Some(e.to_string()))
    };
    let copies = folder.join(COPIES);
    fs::create_dir_all(&copies).map_err(failed)?;
    // A panel that was killed may have left one, of another day.
    entries(&copies, "part").for_each(|part| drop(fs::remove_file(part)));
    if !has_room(&copies, fs::metadata(folder.join(FILE)).map_err(failed)?.len()) {
        return Err(failed(io::ErrorKind::StorageFull.into()));
    }
    let (part, whole) = (copies.join(format!("{name}.part")), copies.join(format!("{name}.db")));
    let make = || {
        connection.execute(sql::COPY, [part.to_string_lossy()])?;
        fs::File::open(&part).and_then(|copy| copy.sync_all()).map_err(failed)?;
        fs::rename(&part, &whole).map_err(failed)
    };
    make().inspect_err(|_| drop(fs::remove_file(&part)))?;
    fs::File::open(&copies).and_then(|copies| copies.sync_all()).map_err(failed)?;
    for old in all_copies(folder).into_iter().rev().skip(KEEP_COPIES) {
        let _ = fs::remove_file(old);
    }
    Ok(())
}

/// Whether so many bytes fit on the disk of a folder. Where it does not say how large it is, they may.
fn has_room(folder: &Path, bytes: u64) -> bool {
    rustix::fs::statvfs(folder).map_or(true, |disk| disk.f_blocks == 0 || disk.f_bavail.saturating_mul(disk.f_frsize) >= bytes)
}

/// Files of a folder whose names end so.
fn entries(folder: &Path, extension: &'static str) -> impl Iterator<Item = PathBuf> {
    let paths = fs::read_dir(folder).into_iter().flatten().filter_map(|e| e.ok().map(|e| e.path()));
    paths.filter(move |p| p.extension().is_some_and(|e| e == extension))
}

/// Copies, oldest first.
fn all_copies(folder: &Path) -> Vec<PathBuf> {
    let mut copies: Vec<_> =
        entries(&folder.join(COPIES), "db").filter_map(|p| Some((fs::metadata(&p).ok()?.modified().ok()?, p))).collect();
    copies.sort();
    copies.into_iter().map(|(_, p)| p).collect()
}

/// Whether the newest copy is a day old, or there is none.
pub(super) fn is_copy_due(folder: &Path) -> bool {
    let newest = newest_copy(folder).and_then(|copy| fs::metadata(copy).ok()?.modified().ok());
    newest.is_none_or(|at| at.elapsed().is_ok_and(|age| age >= COPY_EVERY))
}

/// The name of a copy that is made now.
pub(super) fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

fn newest_copy(folder: &Path) -> Option<PathBuf> {
    all_copies(folder).pop()
}
