//! What is wrong with a configuration file, said so that it can be mended.

use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The line of the file, from 1; nothing where the value comes from the command line.
    pub line: Option<usize>,
    /// What it is.
    pub fault: Fault,
}

/// What is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The file is not TOML here.
    Syntax(String),
    /// The key does not exist.
    UnknownKey {
        /// The key with its section.
        key: String,
        /// The key that was probably meant.
        nearest: Option<String>,
    },
    /// The key is needed and missing.
    Missing {
        /// The key with its section.
        key: String,
        /// What is allowed.
        allowed: String,
    },
    /// The value is not allowed for this key.
    NotAllowed {
        /// The key with its section.
        key: String,
        /// The value as the user wrote it.
        value: String,
        /// What is allowed.
        allowed: String,
    },
}

/// Every problem of one file, in the order of its lines.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problems(pub Vec<Problem>);

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: std::io::Error,
    },
    /// The file says something that is not allowed.
    #[error("the configuration file {} is not valid:\n{problems}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// All that is wrong.
        problems: Problems,
    },
    /// The command line says something that does not fit the configuration.
    #[error("the command line is not valid:\n{0}")]
    CommandLine(Problems),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        match &self.fault {
            Fault::Syntax(message) => write!(f, "{message}"),
            Fault::UnknownKey { key, nearest: Some(nearest) } => write!(f, "{key}: there is no such key; did you mean {nearest}?"),
            Fault::UnknownKey { key, nearest: None } => write!(f, "{key}: there is no such key"),
            Fault::Missing { key, allowed } => write!(f, "{key}: is missing; wanted: {allowed}"),
            Fault::NotAllowed { key, value, allowed } => write!(f, "{key}: {value} is not allowed; wanted: {allowed}"),
        }
    }
}

/// One problem a line, indented.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}  {problem}")?;
        }
        Ok(())
    }
}
