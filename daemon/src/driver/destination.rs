//! The folder that a transfer goes to when the person names none: the rules' pattern, filled in.

use std::collections::HashSet;
use std::path::PathBuf;

use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};
use xbt_core::Domain;
use xbt_core::folder::{FolderPattern, Word};
use xbt_core::ids::{BareJid, TransferId};
use xbt_core::time::{Wall, Zone};
use xbt_core::transfer::{Incoming, Side};
use xbt_torrent::names::{safe_component, safe_name};

/// What stands for a value that cannot be a name at all.
const NAMELESS: &str = "_";

/// The zone of this computer at a moment; UTC where it is not known.
pub(super) fn zone(wall: Wall) -> Zone {
    let Ok(at) = Timestamp::from_millisecond(wall.0) else { return Zone::default() };
    let zone = TimeZone::system();
    let until = zone.following(at).next().map(|next| Wall(next.timestamp().as_millisecond()));
    Zone { offset_s: zone.to_offset(at).seconds(), until }
}

/// Where an offer goes that waits for an answer; none for everything else.
pub(super) fn folder(domain: &Domain, id: TransferId, wall: Wall) -> Option<PathBuf> {
    let transfer = domain.transfer(id)?;
    let Side::In { state: Incoming::Offered, .. } = transfer.side else { return None };
    Some(folder_for(domain, &transfer.contact, wall))
}

/// Where an offer of this contact would go.
pub(super) fn folder_for(domain: &Domain, contact: &BareJid, wall: Wall) -> PathBuf {
    let name = domain.contact_of(contact).and_then(|known| known.contact.name.clone());
    filled(domain.ruling(contact).folder, contact, name.as_deref(), today(wall))
}

fn today(wall: Wall) -> Date {
    let at = Timestamp::from_millisecond(wall.0).unwrap_or(Timestamp::UNIX_EPOCH);
    at.to_zoned(TimeZone::system()).date()
}

/// Names come from outside or from other programs: each is made one harmless part of a path.
fn filled(pattern: &FolderPattern, contact: &BareJid, name: Option<&str>, today: Date) -> PathBuf {
    let path = pattern.fill(|word| match word {
        Word::Contact => safe(contact.as_str()),
        Word::Name => safe(name.unwrap_or(contact.as_str())),
        Word::Date => today.to_string(),
        Word::Year => format!("{:04}", today.year()),
        Word::Month => format!("{:02}", today.month()),
        Word::Day => format!("{:02}", today.day()),
    });
    // What the person wrote stays as it is. Where a value is part of a name, all of it is made safe again: two values side by side
    // can be too long, for example.
    let own = pattern.fill(|_| String::new());
    let own: HashSet<&str> = own.split('/').collect();
    let parts = path.split('/').map(|part| match part {
        part if own.contains(part) => part.to_owned(),
        part => safe_component(part).unwrap_or_else(|_| NAMELESS.to_owned()),
    });
    PathBuf::from(parts.collect::<Vec<_>>().join("/"))
}

fn safe(value: &str) -> String {
    safe_name(&value.replace(['/', '\0'], "_")).unwrap_or_else(|_| NAMELESS.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn path(pattern: &str, name: &str) -> PathBuf {
        let contact = BareJid::from_normalised("bob@example.org");
        filled(&FolderPattern::parse(pattern).unwrap(), &contact, Some(name), Date::constant(2026, 1, 5))
    }

    #[test]
    fn words_stand_for_contact_and_day() {
        assert_eq!(path("/d/{contact}/{date}", "Bob"), Path::new("/d/bob@example.org/2026-01-05"));
        assert_eq!(path("/d/{name}/{year}/{month}/{day}", "Bob"), Path::new("/d/Bob/2026/01/05"));
        assert_eq!(path("/d/.from {name}", "Bob"), Path::new("/d/.from Bob"));
        assert_eq!(path("/d/aux/dot./{name}", "aux"), Path::new("/d/aux/dot./_aux"), "the person's own stay");
    }

    #[test]
    fn no_name_leads_elsewhere_or_hides() {
        for (name, part) in
            [("..", "_"), ("", "_"), ("../../etc", "_._.._etc"), (".ssh", "_ssh"), ("a\u{202e}b\n", "a_b_")]
        {
            assert_eq!(path("/d/{name}/x", name), Path::new("/d").join(part).join("x"), "{name:?}");
        }
        let long = path("/d/{name}{name}", &"é".repeat(200));
        assert!(long.file_name().is_some_and(|name| name.len() <= 255), "{long:?}");
    }

    #[test]
    fn the_zone_tells_when_it_changes_next() {
        let zone = zone(Wall(1_795_392_000_000));
        assert!(zone.until.is_none_or(|until| until.0 > 1_795_392_000_000), "{zone:?}");
        assert_eq!(super::zone(Wall(i64::MAX)), Zone::default());
    }

    proptest! {
        #[test]
        fn every_name_is_one_part_below_the_folder(name in "\\PC{0,300}|[\\x00-\\x7f]{0,40}") {
            let path = path("/d/{name}", &name);
            prop_assert_eq!(path.parent(), Some(Path::new("/d")));
            let part = path.file_name().unwrap();
            prop_assert!(part.len() <= 255 && part != ".." && part != ".");
        }
    }
}
