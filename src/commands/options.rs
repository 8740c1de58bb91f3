//! Values of options that several commands share.

use std::io::{self, IsTerminal as _};

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::report::style::Style;
use crate::track::vocabulary::Severity;

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: the replay report, version 1.
    Json,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(super) enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Whether to colour.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Color {
    /// With colours.
    On,
    /// Without.
    Off,
}

impl ColorWhen {
    /// Decides for standard output as it is now.
    pub(super) fn decide(self) -> Color {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match self {
            Self::Always => Color::On,
            Self::Auto if io::stdout().is_terminal() && !no_color => Color::On,
            Self::Auto | Self::Never => Color::Off,
        }
    }
}

impl Color {
    /// How to write.
    pub(super) fn style(self) -> Style {
        match self {
            Self::On => Style::Colour,
            Self::Off => Style::Plain,
        }
    }
}

/// Reads the name of a severity.
pub(super) fn severity() -> impl TypedValueParser<Value = Severity> {
    PossibleValuesParser::new(Severity::ALL.iter().map(|severity| severity.as_str())).try_map(|name| {
        let named = Severity::ALL.iter().copied().find(|severity| severity.as_str() == name);
        named.ok_or("a severity is wanted")
    })
}
