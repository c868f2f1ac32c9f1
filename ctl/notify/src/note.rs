//! One notification as data, before it becomes a call of the notification server.

/// How urgent it is (Desktop Notifications Specification, "Urgency Levels").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Seen by those who look.
    Low,
    /// Most of them.
    Normal,
    /// Stays until it has been seen.
    Critical,
}

impl Urgency {
    /// The number on the bus.
    pub fn number(self) -> u8 {
        match self {
            Self::Low => 0,
            Self::Normal => 1,
            Self::Critical => 2,
        }
    }
}

/// What a person can press.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Accept the offer.
    Accept,
    /// Decline it.
    Decline,
    /// Show what has arrived.
    Open,
}

impl Action {
    /// The key that comes back when it is pressed, and the label of the button. `default` is a click on the
    /// notification itself.
    pub fn keys(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Accept => &[("accept", "Accept")],
            Self::Decline => &[("decline", "Decline")],
            Self::Open => &[("default", "Open folder"), ("open", "Open folder")],
        }
    }

    /// The action with this key.
    pub fn from_key(key: &str) -> Option<Self> {
        match key {
            "accept" => Some(Self::Accept),
            "decline" => Some(Self::Decline),
            "default" | "open" => Some(Self::Open),
            _ => None,
        }
    }
}

/// What a notification is about; there is one about each at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Keys of devices: first, because safety depends on them.
    Devices,
    /// The first key of a contact.
    FirstDevice,
    /// The server refuses the login.
    Login,
    /// A transfer: its offer, its progress or its end.
    Transfer(u64),
    /// The offers that have no notification of their own.
    Offers,
    /// Ends of transfers that have none of their own.
    Ended,
    /// Another notice for the person.
    Notice,
}

/// One notification. All text is plain: names in it come from other people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// One line.
    pub title: String,
    /// Further lines.
    pub body: Vec<String>,
    /// An icon of the theme (Icon Naming Specification).
    pub icon: &'static str,
    /// What kind of thing happened (Desktop Notifications Specification, "Categories").
    pub category: &'static str,
    /// How urgent.
    pub urgency: Urgency,
    /// Percents done.
    pub value: Option<u8>,
    /// What can be pressed.
    pub actions: Vec<Action>,
    /// What to type where there are no buttons.
    pub instead: Option<String>,
    /// It shows a state, for as long as that lasts. Others report an event, once.
    pub stays: bool,
}

/// What a notification server can do (`GetCapabilities`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Buttons.
    pub actions: bool,
    /// Reads a body as markup.
    pub markup: bool,
    /// Shows a body.
    pub body: bool,
    /// Shows a gauge beside the text, not in place of it.
    pub gauge: bool,
    /// Takes a click on the notification for the action `default`, and draws no button for it.
    pub click: bool,
}

/// The server of Xfce (seen with 0.7.3) shows a bar alone, and not of what; and a second button for `default`.
const XFCE: &str = "Xfce Notify Daemon";

impl Abilities {
    /// From the capabilities of the server and its name.
    pub fn from_words(words: &[String], name: &str) -> Self {
        let has = |word: &str| words.iter().any(|one| one == word);
        Self {
            actions: has("actions"),
            markup: has("body-markup"),
            body: has("body"),
            gauge: name != XFCE,
            click: name != XFCE,
        }
    }
}

impl Note {
    /// Title and body as a server with these abilities takes them.
    pub fn text(&self, abilities: Abilities) -> (String, String) {
        let mut lines = self.body.clone();
        if !abilities.actions {
            lines.extend(self.instead.clone());
        }
        if !abilities.body {
            let title = std::iter::once(self.title.clone()).chain(lines.into_iter().take(1));
            return (title.collect::<Vec<_>>().join(": "), String::new());
        }
        let body = lines.join("\n");
        (self.title.clone(), if abilities.markup { escaped(&body) } else { body })
    }
}

/// Escapes text for markup (a small part of HTML).
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> Note {
        Note {
            title: "Bob <b> wants".into(),
            body: vec!["<a href=\"x\">A & B</a>".into(), "second".into()],
            icon: "x",
            category: "transfer",
            urgency: Urgency::Normal,
            value: None,
            actions: vec![Action::Accept],
            instead: Some("xbtctl accept 7".into()),
            stays: true,
        }
    }

    #[test]
    fn text_of_other_people_is_never_markup() {
        let all = Abilities { actions: true, markup: true, body: true, gauge: true, click: true };
        let (title, body) = note().text(all);
        assert_eq!(title, "Bob <b> wants", "titles are plain text everywhere");
        assert_eq!(body, "&lt;a href=&quot;x&quot;&gt;A &amp; B&lt;/a&gt;\nsecond");
        let (_, body) = note().text(Abilities { markup: false, ..all });
        assert_eq!(body, "<a href=\"x\">A & B</a>\nsecond", "a server without markup shows the signs themselves");
    }

    #[test]
    fn a_server_without_buttons_or_bodies_still_tells_all_that_matters() {
        let (_, body) = note().text(Abilities { actions: false, markup: false, body: true, gauge: true, click: true });
        assert!(body.ends_with("\nxbtctl accept 7"), "{body}");
        let (title, body) = note().text(Abilities::default());
        assert_eq!((title.as_str(), body.as_str()), ("Bob <b> wants: <a href=\"x\">A & B</a>", ""));
    }
}
