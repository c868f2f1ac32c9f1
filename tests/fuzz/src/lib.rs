//! Inputs that reach deep: random bytes alone hardly get past a parser's first check, so a target also plays the files
//! of its corpus with edits that the random bytes choose.

use std::path::Path;

/// Most bytes of an edited input.
const MAX_LEN: usize = 64 << 10;

/// The corpus of a target, in the order of its file names.
pub fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/__fuzz__").join(target).join("corpus");
    let listed = std::fs::read_dir(&folder).expect("the corpus is committed");
    let mut files: Vec<_> = listed.map(|file| file.expect("a file of the corpus").path()).collect();
    files.sort();
    let seeds: Vec<_> = files.iter().map(|file| std::fs::read(file).expect("a file of the corpus")).collect();
    assert!(!seeds.is_empty(), "the corpus of {target} is empty");
    seeds
}

/// One of the seeds with up to eight edits, all of it chosen by `choice`: same bytes, same result.
pub fn edited(seeds: &[Vec<u8>], words: &[&str], choice: &[u8]) -> Vec<u8> {
    let mut choice = choice.iter().copied();
    let mut next = move || usize::from(choice.next().unwrap_or(0));
    let mut bytes = seeds[next() % seeds.len()].clone();
    for _ in 0..next() % 9 {
        let (kind, at, amount) = (next() % 7, next() << 8 | next(), next());
        let at = at % (bytes.len() + 1);
        let end = (at + amount % 64).min(bytes.len());
        match kind {
            0 => {
                bytes.get_mut(at).map(|byte| *byte = amount as u8);
            }
            1 => {
                bytes.get_mut(at).map(|byte| *byte ^= 1 << (amount % 8));
            }
            2 => drop(bytes.drain(at..end)),
            3 => {
                let copy = bytes[at..end].repeat(1 + next() % 80);
                bytes.splice(at..at, copy);
            }
            4 | 5 if !words.is_empty() => {
                let word = words[amount % words.len()];
                bytes.splice(at..at, word.repeat(if kind == 4 { 1 } else { next() }).into_bytes());
            }
            4 | 5 => bytes.insert(at, amount as u8),
            _ => {
                let other = &seeds[amount % seeds.len()];
                let from = (next() << 8 | next()) % (other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
        bytes.truncate(MAX_LEN);
    }
    bytes
}

/// Prints an edited input when its check fails: bolero only knows the bytes that chose it.
pub struct Shown<'a>(pub &'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("edited input: b\"{}\"", self.0.escape_ascii());
        }
    }
}

/// Runs `$check` on each input as it is and on an edit of the corpus that the input chooses.
#[macro_export]
macro_rules! target {
    ($name:ident, $words:expr, $check:path) => {
        #[test]
        fn $name() {
            let seeds = $crate::corpus(stringify!($name));
            bolero::check!().for_each(|input: &[u8]| {
                $check(input);
                let edited = $crate::edited(&seeds, $words, input);
                let _shown = $crate::Shown(&edited);
                $check(&edited);
            });
        }
    };
}
