//! The domain's state as the RPC tells it.

use jiff::Timestamp;
use xbt_api as api;
use xbt_api::text::clean;
use xbt_core::Domain;
use xbt_core::contact::Trust;
use xbt_core::domain::{ContactView, PaceView, Ruling};
use xbt_core::effect::Gone;
use xbt_core::fault::Fault;
use xbt_core::ids::{BareJid, Fingerprint, TransferId};
use xbt_core::input::Attempt;
use xbt_core::login::Login;
use xbt_core::rate::{Priority, RateChange, RateLimits};
use xbt_core::rule::Accept;
use xbt_core::session::{Connection, Subscription};
use xbt_core::time::{Mono, Wall};
use xbt_core::transfer::{Deleted, Direction, End, Side, Step, Transfer};
use xbt_core::way::Way;

/// RFC 3339 in UTC, to the second.
pub(super) fn time(at: Wall) -> String {
    let seconds = at.0.div_euclid(1000);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_string()
}

pub(super) fn error(fault: &Fault) -> api::ApiError {
    api::ApiError::new(&fault.code, &fault.message, &fault.hint)
}

pub(super) fn state(transfer: &Transfer) -> api::State {
    // Both name the states of interface.md; a test in this module goes through all of them.
    api::State::from_word(transfer.state_name()).unwrap_or(api::State::Failed)
}

pub(super) fn way(way: Way) -> api::Way {
    match way {
        Way::DirectUdp6 => api::Way::DirectUdp6,
        Way::DirectUdp4 => api::Way::DirectUdp4,
        Way::DirectTcp6 => api::Way::DirectTcp6,
        Way::DirectTcp4 => api::Way::DirectTcp4,
        Way::MappedTcp4 => api::Way::MappedTcp4,
        Way::PunchedUdp => api::Way::PunchedUdp,
        Way::Proxy65 => api::Way::Proxy65,
        Way::InBand => api::Way::InBand,
    }
}

pub(super) fn attempt(attempt: &Attempt) -> api::Attempt {
    api::Attempt { way: way(attempt.way), reason: attempt.reason.clone() }
}

pub(super) fn direction(transfer: &Transfer) -> api::Direction {
    match transfer.direction() {
        Direction::Out => api::Direction::Out,
        Direction::In => api::Direction::In,
    }
}

pub(super) fn limits(limits: RateLimits) -> api::Limits {
    api::Limits { upload: limits.up, download: limits.down }
}

pub(super) fn change(change: api::LimitChange) -> RateChange {
    RateChange { up: change.upload, down: change.download }
}

pub(super) fn priority(priority: Priority) -> api::Priority {
    match priority {
        Priority::Low => api::Priority::Low,
        Priority::Normal => api::Priority::Normal,
        Priority::High => api::Priority::High,
    }
}

pub(super) fn asked_priority(priority: api::Priority) -> Priority {
    match priority {
        api::Priority::Low => Priority::Low,
        api::Priority::Normal => Priority::Normal,
        api::Priority::High => Priority::High,
    }
}

/// A transfer as it is listed.
pub(super) fn transfer(domain: &Domain, transfer: &Transfer, now: Mono) -> api::Transfer {
    let live = domain.live_view(transfer.id, now);
    let size = transfer.facts.as_ref().map_or(0, |f| f.size);
    let ended = transfer.end();
    let done = if matches!(ended, Some(End::Done)) { size } else { live.done_bytes };
    let rate = if ended.is_some() { 0 } else { live.rate };
    let message = match ended {
        Some(End::Declined { message: Some(message) }) => Some(message.clone()),
        Some(_) | None => transfer.message.clone(),
    };
    api::Transfer {
        id: transfer.id.0,
        direction: direction(transfer),
        contact: transfer.contact.to_string(),
        name: transfer.name.clone(),
        files: transfer.facts.as_ref().map_or(0, |f| f.files),
        size,
        state: state(transfer),
        paused: transfer.paused.any(),
        done_bytes: done,
        rate,
        eta_s: (rate > 0 && size > 0).then(|| size.saturating_sub(done).div_ceil(rate)),
        info_hash: transfer.facts.as_ref().map(|f| f.info_hash.to_string()),
        way: live.way.map(way),
        message,
        why: domain.why(transfer, now).map(|why| api::Why { code: why.code.to_owned(), text: why.text }),
        error: match ended {
            Some(End::Failed(fault)) => Some(error(fault)),
            Some(_) | None => None,
        },
        path: path(domain, transfer),
        created: time(transfer.created),
        updated: time(transfer.updated),
    }
}

/// A transfer that was removed, as it last was.
pub(super) fn gone(domain: &Domain, gone: &Gone, now: Mono) -> api::Transfer {
    let view = transfer(domain, &gone.transfer, now);
    api::Transfer { done_bytes: gone.done_bytes, path: view.path.or_else(|| gone.source.clone()), ..view }
}

fn path(domain: &Domain, transfer: &Transfer) -> Option<String> {
    match &transfer.side {
        Side::Out { .. } => domain.content(transfer).and_then(|c| c.paths.first().cloned()),
        Side::In { path, folder, .. } => path.clone().or_else(|| folder.clone()),
    }
}

/// What has happened to a transfer, as one sentence.
pub(super) fn sentence(transfer: &Transfer) -> String {
    said(transfer, transfer.state_name(), transfer.history.last().and_then(|step| step.reason.as_deref()))
}

/// One step of a transfer, as one sentence.
pub(super) fn step(transfer: &Transfer, step: &Step) -> String {
    said(transfer, &step.state, step.reason.as_deref())
}

fn said(transfer: &Transfer, state: &str, reason: Option<&str>) -> String {
    let way = match transfer.direction() {
        Direction::Out => "to",
        Direction::In => "from",
    };
    let what = format!("transfer {} {way} {}: {state}", transfer.id, transfer.contact);
    reason.map_or(what.clone(), |reason| format!("{what} ({reason})"))
}

/// How the connection stands, as one sentence.
pub(super) fn connection_sentence(connection: &Connection) -> String {
    match connection {
        Connection::Connecting => "connecting to the XMPP server".into(),
        Connection::Online { device, resumed: false } => format!("online as {device}"),
        Connection::Online { device, resumed: true } => format!("online again as {device}, nothing was lost"),
        Connection::Offline { reason, .. } => format!("offline: {reason}"),
        Connection::Refused { reason, retry_in, .. } => match retry_in {
            Some(ms) => format!("not connected: {reason}; next try in {} s", ms.div_ceil(1_000)),
            None => format!("not connected: {reason}"),
        },
    }
}

/// A chat message that came here instead of to a chat program.
pub(super) fn chat(from: &BareJid, text: &str) -> String {
    let what = if text.is_empty() { "(encrypted)".to_owned() } else { format!("“{}”", clean(text)) };
    format!("{from} sent a chat message to xbt, which is no chat program: {what} (returned as undelivered)")
}

/// A stanza that could not be read.
pub(super) fn discarded(from: Option<&BareJid>) -> String {
    match from {
        Some(from) => format!("a stanza from {from} cannot be read and was skipped"),
        None => "a stanza cannot be read and was skipped".to_owned(),
    }
}

/// Something that should decide was not signed as it must be.
pub(super) fn unproved(from: &BareJid) -> String {
    format!(
        "a request or an answer of {from} was not signed by the device that it says it comes from, or had come before; it \
         had no effect: a server or another login on that account may be to blame"
    )
}

/// A contact claims the key of somebody else's device.
pub(super) fn key_claimed(contact: &BareJid, owner: &BareJid, fingerprint: Fingerprint) -> String {
    format!(
        "{contact} claims the key {fingerprint}, which is that of {owner}, and was refused; if {owner} has moved to that \
         address, take the old one off: 'xbtctl contacts remove {owner}'"
    )
}

/// How fast everything together may go, and why.
pub(super) fn pace(pace: &PaceView) -> api::Pace {
    let by = match (pace.by_hand, pace.schedule) {
        (true, _) => api::LimitsBy::Hand,
        (false, Some(_)) => api::LimitsBy::Schedule,
        (false, None) => api::LimitsBy::Configuration,
    };
    api::Pace { by, schedule: pace.schedule.map(|at| at as u64 + 1), until: pace.until.map(time) }
}

/// The same as one sentence.
pub(super) fn pace_sentence(pace: &PaceView) -> String {
    let one = |limit: u64, way: &str| match limit {
        0 => format!("no limit {way}"),
        limit => format!("at most {limit} bytes/s {way}"),
    };
    let why = match (pace.by_hand, pace.schedule) {
        (true, _) => "as you said".to_owned(),
        (false, Some(at)) => format!("schedule {} of the configuration", at + 1),
        (false, None) => "as configured".to_owned(),
    };
    format!("everything together: {}, {} ({why})", one(pace.limits.up, "up"), one(pace.limits.down, "down"))
}

/// What became of received data that was to go.
pub(super) fn deleted_sentence(transfer: TransferId, path: &str, deleted: &Deleted) -> String {
    match deleted.named.first() {
        None => format!("transfer {transfer}: what was received at {path} is deleted"),
        Some(first) => format!(
            "transfer {transfer}: of what is at {path}, {} deleted and {} kept; {} {}",
            deleted.gone, deleted.kept, first.path, first.why
        ),
    }
}

/// What a removed transfer leaves.
pub(super) fn removed(id: TransferId, deleted: Option<Deleted>) -> api::Removed {
    let Deleted { gone, kept, named } = deleted.unwrap_or_default();
    let named = named.into_iter().map(|kept| api::Kept { path: kept.path, why: kept.why });
    api::Removed { id: id.0, deleted: gone, kept, stays: named.collect() }
}

/// What a person must know about a key that was never seen before.
pub(super) fn new_device(contact: &BareJid, key: Fingerprint, another: bool, blocked: bool) -> String {
    let compare = format!("'xbtctl contacts verify {contact}' shows the number to compare");
    match (blocked, another) {
        (true, _) => format!("{contact} has a NEW KEY {key}: it is blocked until you verify it; {compare}"),
        (false, true) => {
            format!("{contact} has a NEW KEY {key}, beside those known before: ask whether it is theirs; {compare}")
        }
        (false, false) => format!("the key of {contact} is {key}, seen for the first time; {compare}"),
    }
}

/// A contact as it is listed.
pub(super) fn contact(domain: &Domain, view: &ContactView<'_>) -> api::Contact {
    let known = view.contact;
    let devices = view.devices.iter().map(|d| api::Device {
        resource: d.device.resource.clone(),
        fingerprint: Some(d.device.fingerprint.to_string()),
        online: d.online,
        trusted: d.device.trust != Trust::Blocked,
        verified: d.device.trust == Trust::Verified,
        unseen: d.device.unseen,
    });
    api::Contact {
        jid: known.jid.to_string(),
        name: known.name.clone(),
        subscription: match known.subscription {
            Subscription::None => api::Subscription::None,
            Subscription::To => api::Subscription::To,
            Subscription::From => api::Subscription::From,
            Subscription::Both => api::Subscription::Both,
        },
        asked: known.ask,
        groups: known.groups.clone(),
        online: !view.online.is_empty(),
        xbt: view.online.iter().any(|(_, xbt)| *xbt),
        devices: devices.collect(),
        trust: if known.verified { api::Trust::Verified } else { api::Trust::Unverified },
        allowed: known.allowed,
        ruling: Some(ruling(&domain.ruling(&known.jid))),
        limits: limits(known.limits),
    }
}

pub(super) fn login(domain: &Domain) -> api::Login {
    let protection = |login: &Login| api::LoginProtection {
        mechanism: login.mechanism.to_string(),
        channel_binding: login.mechanism.binds(),
        authority: login.authority.as_ref().map(|authority| authority.name.clone()),
        authority_id: login.authority.as_ref().map(|authority| authority.id.clone()),
    };
    api::Login {
        jid: domain.settings().account.to_string(),
        known: domain.login().map(protection),
        refused: domain.refused_login().map(protection),
    }
}

pub(super) fn accept(accept: Accept) -> api::Accept {
    match accept {
        Accept::Always => api::Accept::Always,
        Accept::Ask => api::Accept::Ask,
        Accept::Never => api::Accept::Never,
    }
}

pub(super) fn ruling(ruling: &Ruling<'_>) -> api::Ruling {
    api::Ruling {
        accept: accept(ruling.accept),
        max_size: ruling.max_size,
        folder: ruling.folder.to_string(),
        rule: ruling.rule.map(|at| at as u64 + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_in_utc() {
        assert_eq!(time(Wall(1_769_860_800_999)), "2026-01-31T12:00:00Z");
        assert_eq!(time(Wall(i64::MAX)), Timestamp::MAX.to_string());
    }
}
