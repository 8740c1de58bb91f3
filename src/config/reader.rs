//! Walks the parsed file section by section and gathers every problem on the way.
//!
//! The walk is by hand because serde stops at the first error, and a person who mends a file wants to see all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::labels::Label;
use super::problem::{Fault, Problem, Problems};
use super::section::{Item, Section};
use super::types::NotAllowed;
use super::value::{Needed, Refusal, Setting};

/// Longest part of a value that a message repeats, in characters.
const SHOWN: usize = 60;

/// The file being read.
pub(super) struct Reader<'t> {
    text: &'t str,
    root: DeTable<'t>,
    known: Vec<KnownSection>,
    places: BTreeMap<String, Range<usize>>,
    /// Values that must be different in each of several tables, by their key.
    claimed: BTreeSet<(String, String)>,
    unknown: Vec<UnknownKey>,
    faults: Vec<(usize, Fault)>,
}

/// A section that was asked for.
struct KnownSection {
    name: &'static str,
    keys: &'static [&'static str],
}

/// A key that no section asked for.
struct UnknownKey {
    section: Option<&'static str>,
    key: String,
    at: usize,
}

/// One section of the file being read.
pub(super) struct Fields<'r, 't> {
    reader: &'r mut Reader<'t>,
    section: &'static str,
    /// Where the section begins.
    at: usize,
    table: DeTable<'t>,
}

impl<'t> Reader<'t> {
    /// Parses `text`; each error of syntax is a problem.
    pub(super) fn new(text: &'t str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let fault = |error: &toml::de::Error| {
            let at = error.span().map_or(0, |span| span.start);
            (at, Fault::Syntax(error.message().to_owned()))
        };
        Self {
            text,
            root: root.into_inner(),
            known: Vec::new(),
            places: BTreeMap::new(),
            claimed: BTreeSet::new(),
            unknown: Vec::new(),
            faults: errors.iter().map(fault).collect(),
        }
    }

    /// Reads a section; keys of it that it does not ask for are problems.
    pub(super) fn section<S: Section>(&mut self) -> S {
        self.known.push(KnownSection { name: S::NAME, keys: S::KEYS });
        let table = self.take_table(S::NAME);
        let mut fields = Fields { reader: self, section: S::NAME, at: 0, table };
        let section = S::read(&mut fields);
        let left = fields.table;
        self.unknown.extend(unknown_keys(Some(S::NAME), left));
        section
    }

    /// Reads each `[[section]]`, where the section stands several times; to be called before it is read as one.
    pub(super) fn several<I: Item>(&mut self) -> Vec<I> {
        if !self.root.get(I::NAME).is_some_and(|value| value.get_ref().is_array()) {
            return Vec::new();
        }
        self.known.push(KnownSection { name: I::NAME, keys: I::KEYS });
        let Some((_, value)) = self.root.remove_entry(I::NAME) else { return Vec::new() };
        let DeValue::Array(tables) = value.into_inner() else { return Vec::new() };
        tables.into_iter().filter_map(|table| self.item(table)).collect()
    }

    /// Reads each `[[section.name]]`; to be called before the section itself is read.
    pub(super) fn items<I: Item>(&mut self) -> Vec<I> {
        self.known.push(KnownSection { name: I::NAME, keys: I::KEYS });
        let (section, name) = I::NAME.split_once('.').unwrap_or((I::NAME, ""));
        let Some(DeValue::Table(outer)) = self.root.get_mut(section).map(Spanned::get_mut) else { return Vec::new() };
        let Some((_, value)) = outer.remove_entry(name) else { return Vec::new() };
        let at = value.span();
        let DeValue::Array(tables) = value.into_inner() else {
            self.refuse(I::NAME, vec![Refusal { at, allowed: format!("sections [[{}]]", I::NAME) }]);
            return Vec::new();
        };
        tables.into_iter().filter_map(|table| self.item(table)).collect()
    }

    fn item<I: Item>(&mut self, value: Spanned<DeValue<'t>>) -> Option<I> {
        let at = value.span();
        let DeValue::Table(table) = value.into_inner() else {
            self.refuse(I::NAME, vec![Refusal { at, allowed: format!("a section [[{}]]", I::NAME) }]);
            return None;
        };
        let mut fields = Fields { reader: self, section: I::NAME, at: at.start, table };
        let item = I::read(&mut fields);
        let left = fields.table;
        self.unknown.extend(unknown_keys(Some(I::NAME), left));
        item
    }

    /// Reads a section whose keys are names that the user chose.
    pub(super) fn named<T: Setting>(&mut self, section: &'static str) -> BTreeMap<String, T> {
        self.known.push(KnownSection { name: section, keys: &[] });
        let mut named = BTreeMap::new();
        for (name, value) in self.take_table(section) {
            let at = name.span();
            let name = name.into_inner().into_owned();
            if let Err(NotAllowed(allowed)) = name.parse::<Label>() {
                self.refuse(&format!("{section}.{name}"), vec![Refusal { at, allowed: allowed.to_owned() }]);
            }
            match T::read(&value) {
                Ok(value) => drop(named.insert(name, value)),
                Err(refusals) => self.refuse(&format!("{section}.{name}"), refusals),
            }
        }
        named
    }

    /// Objects to the value that the file gives `key`; nothing happens where the file gives none.
    pub(super) fn object(&mut self, key: &str, allowed: &str) {
        if let Some(at) = self.places.get(key).cloned() {
            self.refuse(key, vec![Refusal { at, allowed: allowed.to_owned() }]);
        }
    }

    /// Ends the walk with all problems in the order of the lines; what nobody asked for is among them.
    pub(super) fn finish(mut self) -> Result<(), Problems> {
        let root = std::mem::take(&mut self.root);
        self.unknown.extend(unknown_keys(None, root));
        let mut faults = std::mem::take(&mut self.faults);
        faults.extend(self.unknown.iter().map(|unknown| {
            let key = qualified(unknown.section, &unknown.key);
            (unknown.at, Fault::UnknownKey { key, nearest: self.nearest(unknown) })
        }));
        if faults.is_empty() {
            return Ok(());
        }
        faults.sort_by_key(|(at, _)| *at);
        let problem = |(at, fault)| Problem { line: Some(self.line(at)), fault };
        Err(Problems(faults.into_iter().map(problem).collect()))
    }

    /// Takes a section out of the file; one that is no table is a problem.
    fn take_table(&mut self, section: &'static str) -> DeTable<'t> {
        let Some((_, value)) = self.root.remove_entry(section) else { return DeTable::default() };
        let at = value.span();
        match value.into_inner() {
            DeValue::Table(table) => table,
            _ => {
                self.refuse(section, vec![Refusal { at, allowed: format!("a section [{section}]") }]);
                DeTable::default()
            }
        }
    }

    fn refuse(&mut self, key: &str, refusals: Vec<Refusal>) {
        for refusal in refusals {
            let value = self.shown(refusal.at.clone());
            self.faults.push((refusal.at.start, Fault::NotAllowed { key: key.to_owned(), value, allowed: refusal.allowed }));
        }
    }

    /// A part of the file as a message repeats it: one line, not too long, nothing that a terminal obeys.
    fn shown(&self, at: Range<usize>) -> String {
        let written = self.text.get(at).unwrap_or_default();
        let mut shown: String = written.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
        if written.chars().nth(SHOWN).is_some() {
            shown.push('…');
        }
        shown
    }

    fn line(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
    }

    /// The key that was probably meant: a similar one of the same section, or the same one of another; for a section, a similar one.
    fn nearest(&self, unknown: &UnknownKey) -> Option<String> {
        let elsewhere = || {
            let section = self.known.iter().find(|section| section.keys.contains(&unknown.key.as_str()))?;
            Some(qualified(Some(section.name), &unknown.key))
        };
        match unknown.section {
            Some(name) => {
                let keys = self.known.iter().find(|section| section.name == name)?.keys;
                let similar = most_similar(&unknown.key, keys.iter().copied());
                similar.map(|key| qualified(Some(name), key)).or_else(elsewhere)
            }
            None => most_similar(&unknown.key, self.known.iter().map(|section| section.name)).map(str::to_owned).or_else(elsewhere),
        }
    }
}

impl Fields<'_, '_> {
    /// The value of `key`, or its default where it is missing or refused.
    pub(super) fn take<T: Setting>(&mut self, key: &'static str, default: T) -> T {
        self.read(key, T::read).unwrap_or(default)
    }

    /// The value of `key` if it lies in `range`, or its default.
    pub(super) fn take_within<T: Setting + PartialOrd>(&mut self, key: &'static str, default: T, range: RangeInclusive<T>) -> T {
        let bounds = format!("from {} to {}", range.start().write(), range.end().write());
        let read = |value: &Spanned<DeValue<'_>>| match T::read(value) {
            Ok(read) if range.contains(&read) => Ok(read),
            Ok(_) => Err(vec![Refusal::new(value, bounds)]),
            Err(refusals) => {
                Err(refusals.into_iter().map(|refusal| Refusal { allowed: format!("{}, {bounds}", refusal.allowed), ..refusal }).collect())
            }
        };
        self.read(key, read).unwrap_or(default)
    }

    /// The value of `key`; nothing where it is missing or refused.
    pub(super) fn take_optional<T: Setting>(&mut self, key: &'static str) -> Option<T> {
        self.read(key, T::read)
    }

    /// The value of `key`, which must be there and not be empty; `allowed` says what it may be.
    pub(super) fn need<T: Setting + Needed>(&mut self, key: &'static str, allowed: &str) -> Option<T> {
        if self.table.contains_key(key) {
            return self.read(key, |value| {
                let read = T::read(value)?;
                if read.is_empty() { Err(vec![Refusal::new(value, allowed)]) } else { Ok(read) }
            });
        }
        let fault = Fault::Missing { key: qualified(Some(self.section), key), allowed: allowed.to_owned() };
        self.reader.faults.push((self.at, fault));
        None
    }

    /// Objects to the value of `key`, which was just read, where another table of the same name has one of these `values` already.
    pub(super) fn claim(&mut self, key: &'static str, values: impl IntoIterator<Item = String>, allowed: &str) {
        let key = qualified(Some(self.section), key);
        let mut are_free = true;
        for value in values {
            are_free &= self.reader.claimed.insert((key.clone(), value));
        }
        if !are_free {
            self.reader.object(&key, allowed);
        }
    }

    fn read<T>(&mut self, key: &'static str, read: impl FnOnce(&Spanned<DeValue<'_>>) -> Result<T, Vec<Refusal>>) -> Option<T> {
        let (_, value) = self.table.remove_entry(key)?;
        let name = qualified(Some(self.section), key);
        self.reader.places.insert(name.clone(), value.span());
        read(&value).map_err(|refusals| self.reader.refuse(&name, refusals)).ok()
    }
}

fn unknown_keys(section: Option<&'static str>, table: DeTable<'_>) -> impl Iterator<Item = UnknownKey> {
    table.into_iter().map(move |(key, _): (Spanned<_>, _)| UnknownKey { section, at: key.span().start, key: key.into_inner().into_owned() })
}

fn qualified(section: Option<&str>, key: &str) -> String {
    match section {
        Some(section) => format!("{section}.{key}"),
        None => key.to_owned(),
    }
}

/// The candidate that differs least from `key`, if it differs in at most a third of its letters.
fn most_similar<'a>(key: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate: &&str| strsim::damerau_levenshtein(key, candidate);
    let best = candidates.min_by_key(distance)?;
    (distance(&best) <= best.len().div_ceil(3)).then_some(best)
}
