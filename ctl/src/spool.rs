//! Standard input as a file that the daemon can read, also after this program has ended.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::failure::Failure;
use crate::paths::state_home;

/// A spooled file in a folder of its own; removed again unless it is kept.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    file: PathBuf,
    kept: bool,
}

impl Spool {
    /// Reads standard input to its end into `$XDG_STATE_HOME/xbt/spool/<number>/<name>`, readable by its owner only.
    pub async fn read_stdin(name: &str) -> Result<Self, Failure> {
        let base = state_home().ok_or_else(|| Failure::local("neither XDG_STATE_HOME nor HOME is set"))?;
        let spool = Self::make(&base.join("xbt/spool"), name).map_err(failed)?;
        let path = spool.file.clone();
        // On a thread of its own, so that Ctrl-C is noticed meanwhile.
        let copied = tokio::task::spawn_blocking(move || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            io::copy(&mut io::stdin().lock(), &mut file)?;
            file.sync_all()
        });
        copied.await.map_err(io::Error::other).and_then(|result| result).map_err(failed)?;
        Ok(spool)
    }

    fn make(base: &Path, name: &str) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(base)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Unique because making a folder that exists is an error; secret it need not be.
        let dir = base.join(format!("{}-{}", now.as_nanos(), std::process::id()));
        DirBuilder::new().mode(0o700).create(&dir)?;
        Ok(Self { file: dir.join(name), dir, kept: false })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// A transfer needs it now.
    pub fn keep(&mut self) {
        self.kept = true;
    }

    /// No transfer needs it any more.
    pub fn release(&mut self) {
        self.kept = false;
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if !self.kept {
            // Leftovers do no harm.
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

fn failed(error: io::Error) -> Failure {
    Failure::local(format!("cannot store standard input for sending: {error}"))
}
