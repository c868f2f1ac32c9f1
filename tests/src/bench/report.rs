//! Tables for people, JSON for programs.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::machine;

/// All that was measured in one run.
#[derive(Debug)]
pub struct Report {
    folder: PathBuf,
    whole: Map<String, Value>,
}

impl Report {
    /// A report whose JSON goes into a folder.
    pub fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("the folder can be made");
        let machine = machine::describe();
        println!("{}", serde_json::to_string_pretty(&machine).unwrap_or_default());
        Self { folder: folder.to_owned(), whole: Map::from_iter([("machine".into(), machine)]) }
    }

    /// Adds a part and writes it, so that what was measured is there even if a later part fails.
    pub fn add(&mut self, part: &str, mut value: Value) {
        value["load_after"] = json!(machine::load());
        self.write(part, &json!({ "machine": self.whole["machine"], part: value }));
        self.whole.insert(part.to_owned(), value);
        self.write("bench", &Value::Object(self.whole.clone()));
    }

    /// What a part said, if it was run.
    pub fn part(&self, part: &str) -> Option<&Value> {
        self.whole.get(part)
    }

    fn write(&self, name: &str, value: &Value) {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        fs::write(self.folder.join(format!("{name}.json")), text).expect("the folder can be written");
    }
}

/// Prints a table; numbers go to the right.
pub fn table(title: &str, heading: &[&str], rows: &[Vec<String>]) {
    println!("\n{title} (load {})", machine::load());
    let mut widths: Vec<usize> = heading.iter().map(|text| text.chars().count()).collect();
    for row in rows {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = (*width).max(text.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<String> = cells
            .zip(&widths)
            .enumerate()
            .map(
                |(column, (text, width))| {
                    if column == 0 { format!("{text:<width$}") } else { format!("{text:>width$}") }
                },
            )
            .collect();
        println!("  {}", cells.join("  ").trim_end());
    };
    line(&mut heading.iter().copied());
    rows.iter().for_each(|row| line(&mut row.iter().map(String::as_str)));
}

/// Seconds as people read them.
pub fn seconds(value: f64) -> String {
    if value < 0.1 {
        format!("{:.1} ms", value * 1000.0)
    } else if value < 1.0 {
        format!("{:.0} ms", value * 1000.0)
    } else {
        format!("{value:.2} s")
    }
}
