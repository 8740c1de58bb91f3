//! Names that become labels of metrics, and which things get a label of their own.

use std::fmt;
use std::str::FromStr;

use super::types::NotAllowed;

/// A name that the user gave something, fit for a label: 1 to 64 characters, all of them visible or blank.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Label(String);

impl Label {
    /// What a name may be.
    pub(super) const ALLOWED: &str = "a name of 1 to 64 characters, other than \"other\" and \"__other__\"";
    /// What stands for all that has no name of its own.
    pub const OTHER: &str = "other";
    /// What stands for all that has no series of its own.
    pub const OVERFLOW: &str = "__other__";

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a PBX that was given none.
impl Default for Label {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl FromStr for Label {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        let is_fit = (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control) && text.trim() == text;
        (is_fit && text != Self::OTHER && text != Self::OVERFLOW).then(|| Self(text.to_owned())).ok_or(NotAllowed(Self::ALLOWED))
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which things have series of their own.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum LabelChoice {
    /// None.
    #[default]
    Off,
    /// Those that are in use, as many as there is room for.
    Top,
    /// These.
    Only(Vec<String>),
}

impl LabelChoice {
    /// What a choice may be.
    pub(super) const ALLOWED: &str = "\"off\", \"top\", or a list of names such as [\"198.51.100.7\"]";

    /// Whether anything has series of its own.
    pub fn is_on(&self) -> bool {
        *self != Self::Off
    }

    /// Whether the thing of that name may have them.
    pub fn allows(&self, name: &str) -> bool {
        match self {
            Self::Off => false,
            Self::Top => true,
            Self::Only(names) => names.iter().any(|known| known == name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_visible_and_not_taken_already() {
        for name in ["berlin", "Büro 2", "a", &"x".repeat(64)] {
            assert_eq!(name.parse::<Label>().expect(name).to_string(), name);
        }
        for name in ["", " ", " berlin", "ber\nlin", "\u{1b}[1m", "other", "__other__", &"x".repeat(65)] {
            assert!(name.parse::<Label>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_choice_allows_what_it_names() {
        let only = LabelChoice::Only(vec!["198.51.100.7".to_owned()]);
        assert!(only.is_on() && only.allows("198.51.100.7") && !only.allows("198.51.100.70"));
        assert!(LabelChoice::Top.is_on() && LabelChoice::Top.allows("anything"));
        assert!(!LabelChoice::Off.is_on() && !LabelChoice::Off.allows("anything"));
    }
}
