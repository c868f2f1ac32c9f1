//! One notification as data, before it becomes a call of the notification server.

/// How loud it is (Desktop Notifications Specification, "Urgency Levels").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Only for whoever looks.
    Low,
    /// As most.
    Normal,
    /// Stays until somebody has seen it.
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
    /// Take the offer.
    Accept,
    /// Do not take it.
    Decline,
    /// Show what has arrived.
    Open,
}

impl Action {
    /// The key that comes back when it was pressed, and what stands on the button. `default` is a click on the
    /// notification itself.
    pub fn keys(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Accept => &[("accept", "Accept")],
            Self::Decline => &[("decline", "Decline")],
            Self::Open => &[("default", "Open folder"), ("open", "Open folder")],
        }
    }

    /// Which was pressed.
    pub fn from_key(key: &str) -> Option<Self> {
        match key {
            "accept" => Some(Self::Accept),
            "decline" => Some(Self::Decline),
            "default" | "open" => Some(Self::Open),
            _ => None,
        }
    }
}

/// What a notification is about. There is at most one about each at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Keys of devices: before all others, because safety depends on it.
    Devices,
    /// The first key of a contact.
    FirstDevice,
    /// The server does not let us in.
    Login,
    /// A transfer: its offer, its progress or its end.
    Transfer(u64),
    /// The offers that have no notification of their own.
    Offers,
    /// Ends of transfers that have none of their own.
    Ended,
    /// Something else that a person should know.
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
    /// How loud.
    pub urgency: Urgency,
    /// Percents done.
    pub value: Option<u8>,
    /// What can be pressed.
    pub actions: Vec<Action>,
    /// What to type instead, where nothing can be pressed.
    pub instead: Option<String>,
    /// It shows how things are, until they are not so any more. Others tell what happened, once.
    pub stays: bool,
}

/// What a notification server can do (`GetCapabilities`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Buttons.
    pub actions: bool,
    /// Takes a body to be markup.
    pub markup: bool,
    /// Shows a body.
    pub body: bool,
    /// Shows how far something is beside its text, not in place of it.
    pub gauge: bool,
    /// Takes a click on the notification for the action `default`, and draws no button for it.
    pub click: bool,
}

/// The server of Xfce (seen with 0.7.3) shows a bar alone, and not of what; and a second button for `default`.
const XFCE: &str = "Xfce Notify Daemon";

impl Abilities {
    /// From the words of the server and its name.
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

/// Text that markup (a small part of HTML) shows as it is.
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
