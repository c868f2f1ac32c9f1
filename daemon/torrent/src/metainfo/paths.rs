//! Paths of a content, made safe and kept apart.

use std::collections::{HashMap, HashSet};

use super::target::{inside, relative};
use super::{FileSpan, MAX_ALIKE, MAX_FOLDERS, MAX_RAW, utf8};
use crate::error::EngineError;
use crate::names::{self, MAX_PATH};

/// Keeps the paths of a content distinct. Folders are stored by parent and name, not by their whole path, so that memory
/// stays in proportion to the metadata.
#[derive(Default)]
pub(super) struct Paths {
    /// As the sender wrote them, with their places in the list.
    raw: HashMap<String, u32>,
    /// As they will be on disk: files, and the folders with their numbers. The content itself is number 0.
    files: HashSet<(u32, String)>,
    folders: HashMap<(u32, String), u32>,
}

impl Paths {
    /// The path of the next file.
    pub(super) fn add(&mut self, components: &[&[u8]]) -> Result<String, EngineError> {
        if components.is_empty() {
            return Err(EngineError::bad_metadata("a path is empty"));
        }
        let (raw, safe) = checked(components)?;
        let index = self.raw.len() as u32;
        if self.raw.insert(raw.join("/"), index).is_some() {
            return Err(EngineError::bad_metadata("it lists a path twice"));
        }
        self.place(safe)
    }

    /// The path of an empty folder. After all files.
    pub(super) fn add_folder(&mut self, components: &[&[u8]]) -> Result<String, EngineError> {
        let (raw, safe) = checked(components)?;
        let above = raw.iter().scan(String::new(), |path, component| {
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(component);
            Some(self.raw.contains_key(path.as_str()))
        });
        if raw.is_empty() || above.into_iter().any(|is_file| is_file) {
            return Err(EngineError::bad_metadata("an empty folder is no folder"));
        }
        let path = safe.join("/");
        if path.len() > MAX_PATH {
            return Err(EngineError::bad_metadata("a path is too long"));
        }
        safe.into_iter().try_fold(0, |inside, component| self.folder(inside, component))?;
        Ok(path)
    }

    /// The text of the symbolic link that is to lie at `at`, `from` in the sender's words. Names that were made safe
    /// are so in the text, too.
    pub(super) fn link(
        &self,
        (from, at): (&[&[u8]], &str),
        to: &[&[u8]],
        text: Option<&[u8]>,
        files: &[FileSpan],
    ) -> Result<Box<str>, EngineError> {
        let folder = from.split_last().map_or(&[][..], |(_, folder)| folder);
        let folder = folder.iter().map(|component| utf8(component)).collect::<Result<Vec<_>, _>>()?;
        let (to, defused) = checked(to)?;
        let text = match text {
            Some(text) => utf8(text)?.to_owned(),
            None => relative(&folder, &to),
        };
        if inside(&folder, &text).as_ref() != Some(&to) {
            return Err(EngineError::bad_metadata("a symbolic link leads elsewhere than it says"));
        }
        let known = self.raw.get(&to.join("/")).and_then(|index| files.get(*index as usize));
        let to_safe = known.map_or(defused, |file| file.path.split('/').map(str::to_owned).collect());
        let folder_safe: Vec<&str> = at.rsplit_once('/').map_or(Vec::new(), |(folder, _)| folder.split('/').collect());
        if to_safe == to && folder_safe == folder {
            return Ok(text.into());
        }
        Ok(relative(&folder_safe, &to_safe).into())
    }

    /// Names that are equal once defused get numbers, in the order of the list.
    fn place(&mut self, mut safe: Vec<String>) -> Result<String, EngineError> {
        let Some(last) = safe.pop() else { return Err(EngineError::bad_metadata("a path is empty")) };
        if safe.iter().map(|component| component.len() + 1).sum::<usize>() + last.len() > MAX_PATH {
            return Err(EngineError::bad_metadata("a path is too long"));
        }
        let mut path = String::new();
        let mut folder = 0;
        for component in safe {
            path.push_str(&component);
            path.push('/');
            folder = self.folder(folder, component)?;
        }
        for attempt in 1..=MAX_ALIKE {
            let name = names::free_name(&last, attempt);
            let key = (folder, name);
            if !self.folders.contains_key(&key) && !self.files.contains(&key) {
                path.push_str(&key.1);
                if path.len() > MAX_PATH {
                    return Err(EngineError::bad_metadata("a path is too long"));
                }
                self.files.insert(key);
                return Ok(path);
            }
        }
        Err(EngineError::bad_metadata("too many names are alike"))
    }

    /// The number of a folder in a folder.
    fn folder(&mut self, inside: u32, name: String) -> Result<u32, EngineError> {
        let key = (inside, name);
        if let Some(known) = self.folders.get(&key) {
            return Ok(*known);
        }
        if self.files.contains(&key) {
            return Err(EngineError::bad_metadata("a path is both a file and a folder"));
        }
        if self.folders.len() >= MAX_FOLDERS {
            return Err(EngineError::bad_metadata("it has too many folders"));
        }
        let number = self.folders.len() as u32 + 1;
        self.folders.insert(key, number);
        Ok(number)
    }

    /// Called last: no path may be both a file and a folder.
    pub(super) fn check_raw(&self) -> Result<(), EngineError> {
        let clash = self.raw.keys().any(|path| {
            path.match_indices('/').any(|(at, _)| path.get(..at).is_some_and(|folder| self.raw.contains_key(folder)))
        });
        if clash { Err(EngineError::bad_metadata("a path is both a file and a folder")) } else { Ok(()) }
    }
}

/// Components as they were written, and made safe.
fn checked<'a>(components: &[&'a [u8]]) -> Result<(Vec<&'a str>, Vec<String>), EngineError> {
    let mut raw = Vec::with_capacity(components.len());
    let mut safe = Vec::with_capacity(components.len());
    for component in components {
        let component = utf8(component)?;
        if component.len() > MAX_RAW {
            return Err(EngineError::bad_metadata("a name is too long"));
        }
        raw.push(component);
        safe.push(names::safe_component(component).map_err(EngineError::bad_metadata)?);
    }
    Ok((raw, safe))
}
