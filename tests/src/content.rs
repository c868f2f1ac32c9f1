//! Contents to send, made from a seed, and their hashes.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// 1,048,576 bytes.
pub const MIB: u64 = 1 << 20;

/// Numbers that look random and are the same for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Noise(u64);

impl Noise {
    /// Starts anew.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&self.number().to_le_bytes()[..chunk.len()]);
        }
        Ok(buffer.len())
    }
}

/// Makes a file of `size` random bytes.
pub fn file(path: &Path, size: u64, seed: u64) {
    let mut file = File::create(path).expect("the file can be made");
    let mut noise = Noise::new(seed);
    let mut buffer = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        let part = usize::try_from(left.min(MIB)).expect("a MiB fits");
        noise.read_exact(&mut buffer[..part]).expect("noise never ends");
        file.write_all(&buffer[..part]).expect("the file can be written");
        left -= part as u64;
    }
}

/// Makes a folder of `files` files, in nested folders, `total` bytes together, one of them empty, their sizes a wide mix.
pub fn folder(path: &Path, files: u64, total: u64, seed: u64) {
    assert!(files >= 2, "a mix needs several files");
    let mut noise = Noise::new(seed);
    // Weights over three orders of magnitude; the first file is the empty one and the last takes what is left over.
    let weights: Vec<u64> = (0..files).map(|index| if index == 0 { 0 } else { 1 << (noise.number() % 10) }).collect();
    let sum: u64 = weights.iter().sum();
    let mut left = total;
    for (index, weight) in (0..files).zip(&weights) {
        let size =
            if index + 1 == files { left } else { (u128::from(total) * u128::from(*weight) / u128::from(sum)) as u64 };
        left -= size;
        let place = match index % 3 {
            0 => path.to_owned(),
            1 => path.join(format!("part {}", index % 7)),
            _ => path.join(format!("part {}", index % 7)).join("déjà vu"),
        };
        fs::create_dir_all(&place).expect("the folder can be made");
        file(&place.join(format!("file {index:05}.bin")), size, noise.number());
    }
}

/// The SHA-256 of a file, or of a folder's sorted relative paths with the hashes of their files; names of the top do not count.
pub fn hash(path: &Path) -> String {
    let digest = if path.is_dir() {
        let mut all = Sha256::new();
        for relative in tree(path) {
            all.update(relative.to_string_lossy().as_bytes());
            all.update([0]);
            all.update(file_digest(&path.join(&relative)));
        }
        all.finalize().to_vec()
    } else {
        file_digest(path)
    };
    digest.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string can be written to");
        text
    })
}

/// The relative paths of all files in a folder, sorted.
pub fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display())) {
            let entry = entry.expect("a folder can be read to its end");
            if entry.file_type().expect("an entry has a type").is_dir() {
                open.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(folder).expect("it lies inside").to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The names in a folder that a person sees, sorted; nothing where the folder is not there.
pub fn visible(folder: &Path) -> Vec<String> {
    names(folder).into_iter().filter(|name| !name.starts_with('.')).collect()
}

/// All names in a folder, sorted; nothing where the folder is not there.
pub fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn file_digest(path: &Path) -> Vec<u8> {
    let mut file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).expect("the file can be read") {
            0 => return digest.finalize().to_vec(),
            read => digest.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_its_size_and_the_same_seed_gives_the_same_hash() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["one", "two"] {
            folder(&dir.path().join(name), 50, 3 * MIB + 5, 7);
        }
        folder(&dir.path().join("three"), 50, 3 * MIB + 5, 8);
        let one = dir.path().join("one");
        let sizes: Vec<_> = tree(&one).iter().map(|path| fs::metadata(one.join(path)).unwrap().len()).collect();
        assert_eq!((sizes.len(), sizes.iter().sum::<u64>()), (50, 3 * MIB + 5));
        assert!(sizes.contains(&0));
        assert_eq!(hash(&one), hash(&dir.path().join("two")));
        assert_ne!(hash(&one), hash(&dir.path().join("three")));
    }
}
