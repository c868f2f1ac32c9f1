//! The log: to stderr, filtered by `XBT_LOG`, and never with a secret in it.

use std::fmt;
use std::io::{self, IsTerminal};

use tracing::field::Field;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::{EnvFilter, FilterFn, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use xbt_api::text::escaped;

use crate::config::ConfigError;

/// The environment variable that holds the filter.
const VARIABLE: &str = "XBT_LOG";

/// What is logged when nothing is asked for.
const DEFAULT: &str = "info";

/// Crates that see the password or what was decrypted, with the most that is ever logged of them: at finer
/// levels they print stanzas, SASL exchanges or key material, whatever a filter asks for.
const CLAMPED: [(&str, Level); 10] = [
    ("tokio_xmpp", Level::INFO),
    ("xmpp_parsers", Level::INFO),
    ("xso", Level::INFO),
    ("minidom", Level::INFO),
    ("rxml", Level::INFO),
    ("sasl", Level::WARN),
    ("rustls", Level::WARN),
    ("tokio_rustls", Level::WARN),
    // Records that come from the `log` crate without a target of their own.
    ("log", Level::WARN),
    // Not secret, but several lines for each call of each client.
    ("tarpc", Level::WARN),
];

/// How the lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Style {
    /// Off where the journal puts its own.
    timestamps: bool,
    /// Only on a terminal.
    colour: bool,
    /// Which part of the program speaks: only for those who look closer.
    parts: bool,
}

/// Starts logging, for the whole process.
///
/// # Errors
/// `XBT_LOG` is not a filter (`bad-log-filter`), or logging was started before (`log-started`).
pub fn init() -> Result<(), ConfigError> {
    let filter = match std::env::var(VARIABLE) {
        Ok(text) => parse(&text)?,
        Err(std::env::VarError::NotPresent) => parse(DEFAULT)?,
        Err(std::env::VarError::NotUnicode(_)) => return Err(bad_filter("it is not UTF-8 text")),
    };
    let style = Style {
        timestamps: std::env::var_os("JOURNAL_STREAM").is_none(),
        colour: io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        parts: filter.max_level_hint().is_none_or(|most| most > LevelFilter::INFO),
    };
    subscriber(filter, style, io::stderr).try_init().map_err(|error| {
        ConfigError::new(
            "log-started",
            format!("logging cannot be started: {error}"),
            "this is a fault in xbtd: please report it",
        )
    })
}

fn parse(text: &str) -> Result<EnvFilter, ConfigError> {
    let text = text.trim();
    let text = if text.is_empty() { DEFAULT } else { text };
    let default = LevelFilter::INFO.into();
    EnvFilter::builder().with_default_directive(default).parse(text).map_err(|error| bad_filter(&error.to_string()))
}

fn bad_filter(why: &str) -> ConfigError {
    let hint =
        "write error, warn, info, debug or trace, alone or for a part of the program: XBT_LOG=info,xbt_link=debug";
    ConfigError::new("bad-log-filter", format!("the environment variable {VARIABLE} is not a log filter: {why}"), hint)
}

fn subscriber<W>(filter: EnvFilter, style: Style, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(style.colour).with_target(style.parts);
    let lines = lines.fmt_fields(debug_fn(field).delimited(" "));
    let registry = tracing_subscriber::registry().with(filter).with(clamp());
    match style.timestamps {
        true => Box::new(registry.with(lines.with_timer(Clock))),
        false => Box::new(registry.with(lines.without_time())),
    }
}

/// What others wrote stands in fields and messages: none of it makes a line of its own or reaches a terminal as a command.
fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let text = escaped(&format!("{value:?}"));
    match field.name() {
        "message" => writer.write_str(&text),
        name => write!(writer, "{}={text}", name.strip_prefix("r#").unwrap_or(name)),
    }
}

/// The time in UTC, to the millisecond.
struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{:.3}", jiff::Timestamp::now())
    }
}

/// Stands beside the filter, not in it: no directive can undo it.
fn clamp() -> FilterFn<fn(&Metadata<'_>) -> bool> {
    filter_fn(allowed)
}

fn allowed(metadata: &Metadata<'_>) -> bool {
    let part = metadata.target().split("::").next().unwrap_or_default();
    CLAMPED.iter().all(|(name, most)| *name != part || metadata.level() <= most)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const PLAIN: Style = Style { timestamps: false, colour: false, parts: true };

    fn logged(filter: &str, style: Style, log: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = subscriber(parse(filter).unwrap(), style, move || writer.clone());
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn no_filter_lets_through_what_could_hold_a_secret() {
        for filter in
            ["trace", "tokio_xmpp=trace,sasl=trace,rustls=trace", "tokio_xmpp::xmlstream=trace,[login]=trace,info"]
        {
            let text = logged(filter, PLAIN, || {
                let _login = tracing::info_span!("login").entered();
                tracing::trace!(target: "tokio_xmpp::xmlstream", "hunter2");
                tracing::debug!(target: "tokio_xmpp", "hunter2");
                tracing::trace!(target: "xmpp_parsers::sasl", "hunter2");
                tracing::trace!(target: "rxml::parser", "hunter2");
                tracing::info!(target: "sasl::client", "hunter2");
                tracing::debug!(target: "rustls::conn", "hunter2");
                tracing::debug!(target: "log", "hunter2");
                tracing::warn!(target: "tokio_xmpp", "harmless");
            });
            assert!(!text.contains("hunter2"), "{filter}: {text}");
            assert!(text.contains("harmless"), "{filter}: {text}");
        }
    }

    #[test]
    fn a_filter_still_silences_what_the_clamp_would_allow_and_opens_the_rest() {
        let text = logged("warn,xbt_link=debug,rustls=off", PLAIN, || {
            tracing::info!(target: "xbt_store", "one");
            tracing::warn!(target: "rustls", "two");
            tracing::debug!(target: "xbt_link", "three");
            tracing::trace!(target: "rustless", "four");
        });
        assert_eq!(text, "DEBUG xbt_link: three\n");
    }

    #[test]
    fn info_is_logged_unless_something_else_is_asked_for() {
        for filter in ["", " ", DEFAULT] {
            let text = logged(filter, PLAIN, || {
                tracing::info!(target: "xbtd", "yes");
                tracing::debug!(target: "xbtd", "no");
            });
            assert_eq!(text, " INFO xbtd: yes\n", "{filter:?}");
        }
    }

    #[test]
    fn lines_have_a_time_and_colour_only_where_asked() {
        let line = || tracing::info!(target: "xbtd", "yes");
        let timed = logged("info", Style { timestamps: true, ..PLAIN }, line);
        assert!(timed.starts_with("20") && timed.ends_with("Z  INFO xbtd: yes\n"), "{timed}");
        assert_eq!(timed.find('Z'), Some("2026-01-31T12:00:00.000".len()), "{timed}");
        assert_eq!(logged("info", Style { parts: false, ..PLAIN }, line), " INFO yes\n");
        assert!(logged("info", Style { colour: true, ..PLAIN }, line).contains("\x1b["));
    }

    #[test]
    fn what_others_wrote_stays_in_its_line() {
        let text = logged("info", PLAIN, || {
            let reason = "gone\n ERROR xbtd: all is lost\u{1b}[2J\u{9b}1m\u{202e}";
            tracing::info!(target: "xbtd", %reason, "offline: {reason}");
            tracing::warn!(target: "xbtd", name = "a\nb", "ä");
        });
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{text}");
        assert!(text.contains("offline: gone\\n ERROR") && text.contains("reason=gone\\n"), "{text}");
        assert!(text.contains(" WARN xbtd: ä name=\"a\\nb\"\n"), "{text}");
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_an_error_with_a_hint() {
        for text in ["xbtd=loud", "info,=,", "[", "a=b=c"] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.code, "bad-log-filter", "{text}");
            assert!(error.message.contains("XBT_LOG"), "{error:?}");
        }
    }
}
