//! Compares expected values with found ones and collects every difference.

use serde_json::Value as Json;
use toml::{Table, Value as Toml};

use super::schema::Shape;

/// The differences found so far.
pub(crate) struct Comparison {
    first: i64,
    problems: Vec<String>,
}

impl Comparison {
    /// A comparison of times that count from `first`, in microseconds since the epoch.
    pub(crate) fn new(first: i64) -> Self {
        Self { first, problems: Vec::new() }
    }

    /// Every difference, one line each.
    pub(crate) fn into_problems(self) -> Vec<String> {
        self.problems
    }

    /// Notes a difference.
    pub(crate) fn problem(&mut self, path: &str, expected: &str, found: &str) {
        self.problems.push(format!("{path}: expected {expected}, found {found}"));
    }

    /// Notes each key of `expected`, at any depth, that the shape does not have.
    pub(crate) fn check_keys(&mut self, path: &str, shape: &'static [(&'static str, Shape)], expected: &Table) {
        for (key, wanted) in expected {
            let path = format!("{path}.{key}");
            match shape.iter().find(|(name, _)| name == key) {
                Some((_, shape)) => self.check_value(&path, shape, wanted),
                None => self.problem(&path, "a key of the report", "an unknown key"),
            }
        }
    }

    /// [`Self::check_keys`] for what stands under one key.
    pub(crate) fn check_value(&mut self, path: &str, shape: &'static Shape, expected: &Toml) {
        match (shape, expected) {
            (Shape::Object(keys), Toml::Table(wanted)) => self.check_keys(path, keys, wanted),
            (Shape::List(entry), Toml::Array(wanted)) => {
                for (index, wanted) in wanted.iter().enumerate() {
                    self.check_value(&format!("{path}[{index}]"), entry, wanted);
                }
            }
            _ => {}
        }
    }

    /// Compares those keys of an object that are expected.
    pub(crate) fn compare_object(&mut self, path: &str, shape: &'static [(&'static str, Shape)], expected: &Table, found: &Json) {
        for (name, shape) in shape {
            if let Some(wanted) = expected.get(*name) {
                self.compare(&format!("{path}.{name}"), shape, wanted, &found[*name]);
            }
        }
    }

    /// Compares one value.
    pub(crate) fn compare(&mut self, path: &str, shape: &'static Shape, expected: &Toml, found: &Json) {
        if let (Shape::Object(keys), Toml::Table(wanted), Json::Object(_)) = (shape, expected, found) {
            return self.compare_object(path, keys, wanted, found);
        }
        if let (Shape::Counts, Toml::Table(wanted)) = (shape, expected) {
            return self.compare_counts(path, wanted, found);
        }
        if let (Shape::List(entry), Toml::Array(wanted), Json::Array(entries)) = (shape, expected, found)
            && wanted.len() == entries.len()
        {
            for (index, (wanted, entry_found)) in wanted.iter().zip(entries).enumerate() {
                self.compare(&format!("{path}[{index}]"), entry, wanted, entry_found);
            }
            return;
        }
        if !self.agrees(shape, expected, found) {
            self.problem(path, &expected.to_string(), &self.shown(shape, found));
        }
    }

    fn compare_counts(&mut self, path: &str, expected: &Table, found: &Json) {
        for (key, wanted) in expected {
            let count = found.get(key).cloned().unwrap_or_else(|| Json::from(0));
            self.compare(&format!("{path}.{key}"), &Shape::Count, wanted, &count);
        }
    }

    fn agrees(&self, shape: &Shape, expected: &Toml, found: &Json) -> bool {
        match (shape, expected) {
            (_, Toml::String(word)) if word == "null" => found.is_null(),
            (_, Toml::String(word)) if word == "any" => !found.is_null(),
            (Shape::Text, Toml::String(wanted)) => match (wanted.strip_prefix("!~"), wanted.strip_prefix('~'), found.as_str()) {
                (_, _, None) => false,
                (Some(part), _, Some(text)) => !text.contains(part),
                (None, Some(part), Some(text)) => text.contains(part),
                (None, None, Some(text)) => text == wanted,
            },
            (Shape::Flag, Toml::Boolean(wanted)) => found.as_bool() == Some(*wanted),
            (Shape::Includes, Toml::Array(wanted)) => {
                let is_none = wanted.is_empty() && found.as_array().is_some_and(|found| !found.is_empty());
                found
                    .as_array()
                    .is_some_and(|found| !is_none && wanted.iter().all(|text| found.iter().any(|entry| entry.as_str() == text.as_str())))
            }
            (Shape::Count | Shape::Measure | Shape::Time | Shape::Conclusion, wanted) => {
                self.number(shape, found).is_some_and(|found| within(shape, wanted, found))
            }
            _ => false,
        }
    }

    /// A found number, or a found time in seconds after the first packet.
    fn number(&self, shape: &Shape, found: &Json) -> Option<f64> {
        match shape {
            Shape::Time | Shape::Conclusion => {
                let time: jiff::Timestamp = found.as_str()?.parse().ok()?;
                Some((time.as_microsecond() - self.first) as f64 / 1e6)
            }
            _ => found.as_f64(),
        }
    }

    fn shown(&self, shape: &Shape, found: &Json) -> String {
        match (shape, self.number(shape, found)) {
            (Shape::Time | Shape::Conclusion, Some(seconds)) => format!("{seconds:.3} s"),
            _ => found.to_string(),
        }
    }
}

/// Whether a number is the expected one within the tolerance of its shape, or in the expected range.
fn within(shape: &Shape, expected: &Toml, found: f64) -> bool {
    let wanted = match expected {
        Toml::Integer(wanted) => *wanted as f64,
        Toml::Float(wanted) => *wanted,
        Toml::String(range) => {
            let Some((low, high)) = range.split_once("..") else { return false };
            return matches!((low.parse::<f64>(), high.parse::<f64>()), (Ok(low), Ok(high)) if (low..=high).contains(&found));
        }
        _ => return false,
    };
    let tolerance = match shape {
        Shape::Measure => f64::max(0.01, 0.02 * wanted.abs()),
        Shape::Time => 0.05,
        Shape::Conclusion => f64::max(2.0, 0.1 * wanted.abs()),
        _ => 0.0,
    };
    // Times pass through text and back, so the edge of a tolerance must not hang on the last bit.
    (found - wanted).abs() <= tolerance + 1e-9
}
