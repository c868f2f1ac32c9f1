//! Shows a person where something is.

use std::path::Path;

use tokio::process::Command;

use crate::bus::Bus;

/// Opens the folder of `path`: in the file manager, which selects it there, or else by `xdg-open`.
pub async fn folder(bus: &Bus, path: &Path) {
    if bus.show_item(path).await.is_ok() {
        return;
    }
    let folder = path.parent().unwrap_or(path);
    match Command::new("xdg-open").arg(folder).spawn() {
        // The runtime reaps it.
        Ok(_child) => {}
        Err(error) => eprintln!("xbt-notify: xdg-open cannot be started: {error}"),
    }
}
