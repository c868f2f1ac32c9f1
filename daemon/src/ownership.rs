//! Whose a file is: what decides for a person must not be writable by somebody else.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// Whether somebody besides this user and root may change a file. A group that has the number of the file's owner is that
/// person's own, as most systems make one for each account.
pub(crate) fn others_may_write(meta: &Metadata) -> bool {
    let ours = meta.uid() == rustix::process::geteuid().as_raw() || meta.uid() == 0;
    let by_group = meta.mode() & 0o020 != 0 && meta.gid() != meta.uid();
    !ours || by_group || meta.mode() & 0o002 != 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_others_may_write_is_told_from_one_that_only_its_owner_may() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let with = |mode| {
            fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
            others_may_write(&fs::metadata(file.path()).unwrap())
        };
        assert!([0o600, 0o644, 0o755, 0o444].into_iter().all(|mode| !with(mode)));
        assert!([0o602, 0o666, 0o777].into_iter().all(with));
        let meta = fs::metadata(file.path()).unwrap();
        assert_eq!(with(0o664), meta.uid() != meta.gid());
    }
}
