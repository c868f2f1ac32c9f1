//! Opening the database: it is made where there is none, and left exactly as it is where it is not sound.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::Problem;
use super::lock::Lock;
use super::migrations::{self, VERSION};
use super::rows::Tables;

const FILE: &str = "xbt.db";

/// SQLite's `application_id` of our databases: "xbtd".
pub(super) const APPLICATION: u32 = u32::from_be_bytes(*b"xbtd");

/// How long a lock of another program, such as `sqlite3`, is waited for at the start.
const BUSY: Duration = Duration::from_secs(5);

/// And later, when the whole daemon waits with it. Whoever writes tries again.
const BUSY_LATER: Duration = Duration::from_millis(500);

/// The log is cut to so many bytes when it begins anew, after a large batch.
const LOG_KEPT: i64 = 8 << 20;

/// Statements that are kept prepared; the store has fewer.
const STATEMENTS: usize = 64;

/// What is open: the path is for messages.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    pub(super) lock: Lock,
}

/// Opens the database in `folder`, which no other process may have open as a daemon.
pub(super) fn open(folder: &Path) -> Result<Opened, Problem> {
    ready_folder(folder).map_err(|source| Problem::Folder { path: folder.to_owned(), source })?;
    let lock = Lock::take(folder)?;
    let path = folder.join(FILE);
    if is_missing(&path)? {
        create(&path)?;
    }
    inspect(&path)?;
    let connection = connect(&path)?;
    Ok(Opened { connection, path, lock })
}

/// Makes the folder if need be, and keeps other users out of it.
fn ready_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    if fs::metadata(folder)?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// The path of a file that SQLite keeps beside its database.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether there is no database yet. A log without its database is no fresh start: something took the database away.
fn is_missing(path: &Path) -> Result<bool, Problem> {
    let exists = |path: &Path| match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Problem::io(path, &error)),
    };
    if exists(path)? {
        return Ok(false);
    }
    for suffix in ["-wal", "-journal"] {
        let log = beside(path, suffix);
        if exists(&log)? {
            return Err(Problem::Missing { path: path.to_owned(), log });
        }
    }
    Ok(true)
}

/// Makes the database under another name and links it into place when it is complete: so a database that is
/// empty or half made is always a damaged one, never the rest of a first start that was cut short.
fn create(path: &Path) -> Result<(), Problem> {
    let (sql, io) = (|e| Problem::sql(path, e), |e: io::Error| Problem::io(path, &e));
    let new = beside(path, ".new");
    discard(&new).map_err(io)?;
    drop(OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).map_err(io)?);
    let mut connection = Connection::open_with_flags(&new, flags()).map_err(sql)?;
    connection.pragma_update(None, "application_id", APPLICATION).map_err(sql)?;
    migrations::migrate(&mut connection, 0).map_err(sql)?;
    connection.close().map_err(|(_, error)| sql(error))?;
    // Unlike a rename, a link never replaces what came to be there in the meantime.
    fs::hard_link(&new, path).map_err(io)?;
    discard(&new).map_err(io)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all()).map_err(io)
}

/// Takes away what a first start left behind when it was cut short.
fn discard(new: &Path) -> io::Result<()> {
    for suffix in ["-journal", ""] {
        match fs::remove_file(beside(new, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Looks at the file before SQLite does, which would for example remove the log of a database that is empty.
/// The header is described at <https://www.sqlite.org/fileformat2.html#the_database_header>.
fn inspect(path: &Path) -> Result<(), Problem> {
    let io = |e: io::Error| Problem::io(path, &e);
    let not_ours = |detail: &str| Problem::NotADatabase { path: path.to_owned(), detail: detail.to_owned() };
    let metadata = fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        return Err(not_ours("it is not a file"));
    }
    let mut header = [0; 100];
    match File::open(path).and_then(|mut file| file.read_exact(&mut header)) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(Problem::Damaged { path: path.to_owned(), detail: "it is cut short".to_owned() });
        }
        Err(error) => return Err(io(error)),
    }
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(not_ours("it does not begin like one"));
    }
    if header[68..72] != APPLICATION.to_be_bytes() {
        return Err(not_ours("it belongs to another program"));
    }
    let version = i64::from(i32::from_be_bytes([header[60], header[61], header[62], header[63]]));
    known_version(path, version)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(io)?;
    }
    Ok(())
}

/// A version that this program wrote or can bring up to date.
fn known_version(path: &Path, found: i64) -> Result<(), Problem> {
    match found {
        1..=VERSION => Ok(()),
        ..1 => Err(Problem::Damaged { path: path.to_owned(), detail: format!("there is no version {found}") }),
        _ => Err(Problem::Newer { path: path.to_owned(), found, known: VERSION }),
    }
}

fn flags() -> OpenFlags {
    // Not `CREATE`: a database that vanishes in the meantime must not come back empty.
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// Connects to a database that looks like ours, and writes to it only once all of it has been found sound.
fn connect(path: &Path) -> Result<Connection, Problem> {
    let sql = |e| Problem::sql(path, e);
    let log_waits = fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0);
    let mut connection = Connection::open_with_flags(path, flags()).map_err(sql)?;
    // Closing would move the log into the database, also into a damaged one.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, log_waits).map_err(sql)?;
    let version = verify(path, &connection)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(sql)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(sql)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(sql)?;
    connection.pragma_update(None, "journal_size_limit", LOG_KEPT).map_err(sql)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(sql)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    migrations::migrate(&mut connection, version).map_err(sql)?;
    Tables { connection: &connection, path }.check().map_err(|error| Problem::Damaged {
        path: path.to_owned(),
        detail: format!("its tables are not those of its version: {error}"),
    })?;
    connection.busy_timeout(BUSY_LATER).map_err(sql)?;
    Ok(connection)
}

/// Reads all of the database's structure without writing, and returns its version.
fn verify(path: &Path, connection: &Connection) -> Result<i64, Problem> {
    let sql = |e| Problem::sql(path, e);
    connection.busy_timeout(BUSY).map_err(sql)?;
    connection.pragma_update(None, "trusted_schema", false).map_err(sql)?;
    connection.pragma_update(None, "cell_size_check", true).map_err(sql)?;
    // The header may be older than the log, so the version is asked for once more.
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sql)?;
    known_version(path, version)?;
    if connection.is_readonly("main").map_err(sql)? {
        return Err(Problem::Unreadable { path: path.to_owned(), detail: "it may only be read".to_owned() });
    }
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(sql)?;
    match found.as_str() {
        "ok" => Ok(version),
        _ => Err(Problem::Damaged { path: path.to_owned(), detail: found.replace('\n', " ") }),
    }
}
