//! Whom a person means by a name on the contact list: the same for the daemon and for programs that ask before they send.

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// One contact, by its address.
    One(&'a str),
    /// At least these two, by their addresses.
    Several(&'a str, &'a str),
    /// Nobody; but this name, or address where there is no name, is much like it.
    Nobody(Option<&'a str>),
}

/// Looks a name up among contacts, each an address and a name. Names count in any case, but where one is spelled exactly
/// so, those alone count. What has an `@` is an address and never a name: the server could call somebody else so.
pub fn named<'a>(contacts: &[(&'a str, Option<&'a str>)], text: &str) -> Named<'a> {
    let folded = text.to_lowercase();
    if text.contains('@') {
        return Named::Nobody(alike(contacts, &folded));
    }
    let exact = |name: &str| name == text;
    let in_any_case = |name: &str| name.to_lowercase() == folded;
    let found = pair(contacts, exact).or_else(|| pair(contacts, in_any_case));
    found.unwrap_or_else(|| Named::Nobody(alike(contacts, &folded)))
}

fn pair<'a>(contacts: &[(&'a str, Option<&'a str>)], is: impl Fn(&str) -> bool) -> Option<Named<'a>> {
    let mut found = contacts.iter().filter(|(_, name)| name.is_some_and(&is)).map(|(jid, _)| *jid);
    match (found.next()?, found.next()) {
        (one, None) => Some(Named::One(one)),
        (one, Some(other)) => Some(Named::Several(one, other)),
    }
}

fn alike<'a>(contacts: &[(&'a str, Option<&'a str>)], folded: &str) -> Option<&'a str> {
    if let Some(address) = folded.split_once('@') {
        return address_alike(contacts, address);
    }
    let known = contacts.iter().flat_map(|(jid, name)| {
        let local = jid.split('@').next().unwrap_or(jid);
        let name = name.filter(|name| !name.contains('@'));
        name.map(|name| (name, name)).into_iter().chain([(local, name.unwrap_or(jid))])
    });
    let most = most_slips(folded);
    let slips = known.map(|(key, shown)| (strsim::damerau_levenshtein(folded, &key.to_lowercase()), shown));
    slips.filter(|(slips, _)| *slips <= most).min_by_key(|(slips, _)| *slips).map(|(_, shown)| shown)
}

/// Slips in both parts count, but how many may be is for the part that tells people apart.
fn address_alike<'a>(contacts: &[(&'a str, Option<&'a str>)], (local, domain): (&str, &str)) -> Option<&'a str> {
    let most = most_slips(local);
    // What differs more in length differs more in letters, and need not be compared.
    let near = |a: &str, b: &str| a.len().abs_diff(b.len()) <= 4 * most;
    let slips = contacts.iter().filter_map(|(jid, _)| {
        let known = jid.to_lowercase();
        let (their_local, their_domain) = known.split_once('@')?;
        if !near(local, their_local) || !near(domain, their_domain) {
            return None;
        }
        let slips = strsim::damerau_levenshtein(local, their_local)
            .saturating_add(strsim::damerau_levenshtein(domain, their_domain));
        Some((slips, *jid))
    });
    slips.filter(|(slips, _)| *slips <= most).min_by_key(|(slips, _)| *slips).map(|(_, jid)| jid)
}

/// One slip, and one more for each five letters; but less than half of what was typed.
fn most_slips(typed: &str) -> usize {
    let length = typed.chars().count();
    (1 + length / 5).min(length / 2)
}

#[cfg(test)]
mod tests {
    use super::{Named, named};

    const CONTACTS: [(&str, Option<&str>); 5] = [
        ("bob@example.org", Some("Bob")),
        ("robert@example.org", Some("bob")),
        ("dave@example.org", Some("Dave")),
        ("zoë@example.org", Some("ZOË")),
        ("frederic@example.org", None),
    ];

    #[test]
    fn names_count_in_any_case_and_an_exact_one_first() {
        assert_eq!(named(&CONTACTS, "Bob"), Named::One("bob@example.org"));
        assert_eq!(named(&CONTACTS, "bob"), Named::One("robert@example.org"));
        assert_eq!(named(&CONTACTS, "BOB"), Named::Several("bob@example.org", "robert@example.org"));
        assert_eq!(named(&CONTACTS, "dave"), Named::One("dave@example.org"));
        assert_eq!(named(&CONTACTS, "zoë"), Named::One("zoë@example.org"));
    }

    #[test]
    fn an_address_is_nobodys_name() {
        let contacts = [("carol@example.org", Some("bob@example.org")), ("bob@example.org", Some("Bob"))];
        assert_eq!(named(&contacts, "bob@example.org"), Named::Nobody(Some("bob@example.org")));
        assert_eq!(named(&contacts[..1], "bob@example.net"), Named::Nobody(None));
        assert_eq!(named(&contacts[..1], "bobexample.org"), Named::Nobody(None));
    }

    #[test]
    fn for_a_slip_the_nearest_name_or_address_is_proposed_and_for_something_else_none() {
        assert_eq!(named(&CONTACTS, "dvae"), Named::Nobody(Some("Dave")));
        assert_eq!(named(&CONTACTS[..1], "bbo"), Named::Nobody(Some("Bob")));
        assert_eq!(named(&CONTACTS, "fredric"), Named::Nobody(Some("frederic@example.org")));
        assert_eq!(named(&CONTACTS, "dvae@example.org"), Named::Nobody(Some("dave@example.org")));
        assert_eq!(named(&CONTACTS, "dave@exmaple.org"), Named::Nobody(Some("dave@example.org")));
        assert_eq!(named(&CONTACTS, "eve@example.com"), Named::Nobody(None));
        assert_eq!(named(&CONTACTS, "xylophone"), Named::Nobody(None));
        assert_eq!(named(&[], "x"), Named::Nobody(None));
    }
}
