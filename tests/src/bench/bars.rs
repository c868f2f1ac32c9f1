//! What xbt is held to, and whether this run met it.

use serde_json::{Value, json};

use super::report::{Report, table};

/// Compares what was measured with the bars; parts that were not run are left out.
pub fn judge(report: &mut Report) {
    let bars: Vec<Bar> = [files(report), xmpp(report), rest(report)].into_iter().flatten().collect();
    if bars.is_empty() {
        return;
    }
    let rows: Vec<_> = bars.iter().map(Bar::row).collect();
    table("Bars", &["", "measured", "bar", ""], &rows);
    let json: Vec<_> = bars
        .iter()
        .map(|bar| json!({ "what": bar.what, "value": bar.value, "bar": bar.bar, "met": bar.met() }))
        .collect();
    report.add("bars", json!({ "bars": json }));
}

struct Bar {
    what: &'static str,
    value: f64,
    bar: f64,
    /// Whether more is better.
    least: bool,
}

impl Bar {
    fn least(what: &'static str, value: f64, bar: f64) -> Self {
        Self { what, value, bar, least: true }
    }

    fn most(what: &'static str, value: f64, bar: f64) -> Self {
        Self { what, value, bar, least: false }
    }

    fn met(&self) -> bool {
        if self.least { self.value >= self.bar } else { self.value <= self.bar }
    }

    fn row(&self) -> Vec<String> {
        let sign = if self.least { "≥" } else { "≤" };
        let met = if self.met() { "met" } else { "NOT met" };
        vec![self.what.into(), format!("{:.3}", self.value), format!("{sign} {:.3}", self.bar), met.into()]
    }
}

/// A number of a program with a content.
fn of(report: &Report, content: &str, program: &str, key: &str) -> Option<f64> {
    let contents = report.part("files")?["contents"].as_array()?;
    let programs = contents.iter().find(|one| one["content"] == content)?["programs"].as_array()?;
    programs.iter().find(|one| one["program"].as_str().is_some_and(|name| name.starts_with(program)))?[key].as_f64()
}

fn files(report: &Report) -> Vec<Bar> {
    let rate = |content, program| of(report, content, program, "mib_per_s");
    let large = || {
        let (engine, xbt) = (rate("1 GiB", "xbt's engine")?, rate("1 GiB", "xbt, all")?);
        let (libtorrent, scp) = (rate("1 GiB", "libtorrent")?, rate("1 GiB", "scp")?);
        Some(vec![
            Bar::least("engine, 1 GiB, times libtorrent", engine / libtorrent, 2.0),
            Bar::least("all of xbt, 1 GiB, times libtorrent in the clear", xbt / libtorrent, 1.25),
            Bar::least("all of xbt, 1 GiB, times scp", xbt / scp, 1.5),
        ])
    };
    let small = || {
        let (xbt, librqbit) = (rate("2,000 files, 76 MiB", "xbt, all")?, rate("2,000 files, 76 MiB", "librqbit")?);
        Some(vec![
            Bar::least("all of xbt, 2,000 files, times librqbit", xbt / librqbit, 2.0),
            Bar::least(
                "engine, 2,000 files, times librqbit",
                rate("2,000 files, 76 MiB", "xbt's engine")? / librqbit,
                2.0,
            ),
        ])
    };
    [large(), small()].into_iter().flatten().flatten().collect()
}

fn xmpp(report: &Report) -> Vec<Bar> {
    let Some(ways) = report.part("xmpp").and_then(|part| part["ways"].as_array()) else { return Vec::new() };
    let rate = |start: &str| {
        ways.iter().find(|one| one["way"].as_str().is_some_and(|way| way.starts_with(start)))?["mib_per_s"].as_f64()
    };
    let times = |xbt: &str, other: &str| Some(rate(xbt)? / rate(other)?);
    [
        (times("xbt, 256 KiB", "in-band, 256 KiB"), "256 KiB, times in-band through stock Prosody", 50.0),
        (times("xbt, 16 MiB", "proxy65"), "16 MiB, times proxy65", 3.0),
        (times("xbt, 16 MiB", "http"), "16 MiB, times HTTP upload and download", 20.0),
    ]
    .into_iter()
    .filter_map(|(value, what, bar)| Some(Bar::least(what, value?, bar)))
    .collect()
}

fn rest(report: &Report) -> Vec<Bar> {
    let at = |part: &str, pointer: &str| report.part(part)?.pointer(pointer).and_then(Value::as_f64);
    let worst = |pointer: &str| {
        let times = report.part("many")?.pointer(pointer)?.as_array()?;
        times.iter().filter_map(Value::as_f64).reduce(f64::max)
    };
    let larger = |pointer: &str| {
        let both = report.part("wire")?.pointer(pointer)?.as_array()?;
        both.iter().filter_map(Value::as_f64).reduce(f64::max)
    };
    [
        (worst("/times/0/times"), "one to 1–8, times size / rate, the worst", 1.3),
        (at("wire", "/wire/0/wire_per_byte"), "wire bytes per byte, 64 MiB", 1.02),
        (at("signal", "/send_to_done_s"), "1 KiB, send to done, s", 0.3),
        (larger("/memory/idle_mib"), "memory idle, MiB", 25.0),
        (larger("/memory/peak_mib"), "memory while 10 GiB move, MiB", 60.0),
        (at("store", "/listed_mib"), "memory with 10,000 transfers, MiB", 80.0),
        (at("store", "/list_s"), "list of 10,000, s", 0.05),
        (at("store", "/idle_ticks"), "idle minute, ticks of 10 ms", 0.0),
    ]
    .into_iter()
    .filter_map(|(value, what, bar)| Some(Bar::most(what, value?, bar)))
    .collect()
}
