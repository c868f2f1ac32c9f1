//! How much room a disk has.

use std::io;
use std::path::Path;

/// Bytes that an ordinary account may still write on the file system that holds `path`.
pub fn free_space(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// The largest file that the file system of `path` can hold, where it is FAT, the only one in use with so low a limit.
pub fn largest_file(path: &Path) -> Option<u64> {
    const FAT: i64 = 0x4d44; // MSDOS_SUPER_MAGIC
    rustix::fs::statfs(path).ok().filter(|stat| stat.f_type == FAT).map(|_| u64::from(u32::MAX))
}

/// A number of bytes for people, in binary units with one decimal.
pub(crate) fn shown(bytes: u64) -> String {
    let mut value = bytes as f64 / 1024.0;
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    for unit in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        // What would be rounded to 1024.0 is one of the next unit.
        if value < 1023.95 {
            return format!("{value:.1} {unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.1} EiB")
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn people_read_sizes_in_binary_units() {
        let sizes = [0, 1023, 1024, 61_865_984, 1_048_575, u64::MAX].map(shown);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "59.0 MiB", "1.0 MiB", "16.0 EiB"]);
    }
}
