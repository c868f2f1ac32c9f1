//! `--format`: a custom line for status bars. A handful of keys needs no template crate.

use xbt_api::Status;

use crate::text::{clean, rate};

/// What may stand between braces, with its meaning.
pub const KEYS: &str = "connection jid device version active waiting asking paused ended total links \
                        rate_up rate_down bytes_up bytes_down";

/// Replaces each `{key}` by its value; `{{` and `}}` are braces.
///
/// # Errors
/// The word between two braces that is no key, or an empty one for a brace that is alone.
pub fn format(template: &str, status: &Status) -> Result<String, String> {
    let mut line = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, after) = rest.split_at(at);
        line += before;
        if let Some(more) = after.strip_prefix("{{").or_else(|| after.strip_prefix("}}")) {
            line.push_str(if after.starts_with('{') { "{" } else { "}" });
            rest = more;
            continue;
        }
        let (key, more) = after.strip_prefix('{').and_then(|after| after.split_once('}')).ok_or_else(String::new)?;
        line += &value(key, status).ok_or_else(|| key.to_owned())?;
        rest = more;
    }
    Ok(line + rest)
}

fn value(key: &str, status: &Status) -> Option<String> {
    let counts = &status.counts;
    let number = match key {
        "connection" => return Some(status.connection.to_string()),
        "jid" => return Some(clean(&status.jid)),
        "device" => return Some(clean(status.device.as_deref().unwrap_or_default())),
        "version" => return Some(clean(&status.version)),
        "rate_up" => return Some(rate(status.upload_rate)),
        "rate_down" => return Some(rate(status.download_rate)),
        "bytes_up" => status.upload_rate,
        "bytes_down" => status.download_rate,
        "active" => counts.active,
        "waiting" => counts.waiting,
        "asking" => counts.asking,
        "paused" => counts.paused,
        "ended" => counts.ended,
        "total" => counts.total,
        "links" => status.links,
        _ => return None,
    };
    Some(number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn keys_are_replaced_and_everything_else_stays() {
        let status = sample::status();
        let line = |template: &str| format(template, &status);
        assert_eq!(line("{connection} {active} {rate_up}"), Ok("online 1 1.0 KiB/s".into()));
        assert_eq!(line("↑{bytes_up} {{x}} ↓{bytes_down}%"), Ok("↑1024 {x} ↓0%".into()));
        assert_eq!(line(""), Ok(String::new()));
        assert_eq!(line("{uptime}"), Err("uptime".into()));
        for alone in ["{active", "active}", "{", "a } b"] {
            assert_eq!(line(alone), Err(String::new()), "{alone}");
        }
        for key in KEYS.split_whitespace() {
            assert!(line(&format!("{{{key}}}")).is_ok(), "{key}");
        }
    }
}
