//! Colour on a terminal, only where the caller says that there is one.

/// Whether the output goes to a terminal that shows colour.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    /// Text and nothing else.
    Plain,
    /// With ANSI colour sequences.
    Colour,
}

/// What a piece of text is for the reader.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Tone {
    /// Nothing special.
    #[default]
    Normal,
    /// A heading or a name.
    Strong,
    /// Of less interest.
    Faint,
    /// As it should be.
    Good,
    /// Worth a look.
    Doubtful,
    /// Wrong.
    Bad,
}

impl Style {
    /// Appends `text`, which must be safe to show already.
    pub(super) fn paint(self, out: &mut String, tone: Tone, text: &str) {
        match (self, tone.code()) {
            (Self::Colour, Some(code)) if !text.is_empty() => {
                out.push_str("\x1b[");
                out.push_str(code);
                out.push('m');
                out.push_str(text);
                out.push_str("\x1b[0m");
            }
            _ => out.push_str(text),
        }
    }
}

impl Tone {
    /// The colours of the terminal's own palette, so that they suit light and dark backgrounds.
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Normal => None,
            Self::Strong => Some("1"),
            Self::Faint => Some("2"),
            Self::Good => Some("32"),
            Self::Doubtful => Some("33"),
            Self::Bad => Some("1;31"),
        }
    }
}
