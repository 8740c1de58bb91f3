//! The page that the sections write on: at most [`COLUMNS`] wide, or narrower, every value from outside escaped.

use super::super::escape;
use super::super::style::{Style, Tone};
use super::table::Table;

/// No line is wider.
pub(super) const COLUMNS: usize = 100;
/// Everything under a heading stands this far in.
pub(super) const INDENT: usize = 2;
/// Where the value of a labelled line begins.
const LABELLED: usize = 13;
/// Lines of one paragraph, after which it is cut off.
const PARAGRAPH_LINES: usize = 8;

/// A report in the making.
pub(super) struct Page {
    style: Style,
    columns: usize,
    out: String,
}

impl Page {
    pub(super) fn new(style: Style) -> Self {
        Self::of_width(style, COLUMNS)
    }

    /// A page that is narrower.
    pub(super) fn of_width(style: Style, columns: usize) -> Self {
        Self { style, columns, out: String::new() }
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    pub(super) fn blank(&mut self) {
        self.out.push('\n');
    }

    /// A section's title after a blank line, with a remark behind it.
    pub(super) fn heading(&mut self, title: &str, remark: &str) {
        self.blank();
        self.paint(Tone::Strong, title);
        if !remark.is_empty() {
            self.out.push_str("  ");
            let room = self.columns.saturating_sub(escape::width(title) + 2);
            let remark = escape::fit(remark, room);
            self.paint(Tone::Faint, &remark);
        }
        self.blank();
    }

    /// A paragraph, `indent` columns in.
    pub(super) fn paragraph(&mut self, indent: usize, tone: Tone, text: &str) {
        for line in wrap(text, self.columns - indent) {
            self.pad(indent);
            self.paint(tone, &line);
            self.blank();
        }
    }

    /// A paragraph with a label in front: `Calls      12: …`.
    pub(super) fn labelled(&mut self, label: &str, tone: Tone, text: &str) {
        self.labelled_at(INDENT, LABELLED, label, tone, text);
    }

    /// A paragraph that begins in column `value`, or behind a label that is longer, with the label in column `indent` of its first line.
    pub(super) fn labelled_at(&mut self, indent: usize, value: usize, label: &str, tone: Tone, text: &str) {
        let value = value.max(indent + escape::width(label) + 2);
        for (nth, line) in wrap(text, self.columns - value).into_iter().enumerate() {
            self.pad(indent);
            let label = if nth == 0 { label } else { "" };
            self.paint(Tone::Faint, label);
            self.pad(value.saturating_sub(indent + escape::width(label)));
            self.paint(tone, &line);
            self.blank();
        }
    }

    /// One line of differently painted parts, each cut to the room that those before it left.
    pub(super) fn line(&mut self, indent: usize, parts: &[(Tone, &str)]) {
        self.pad(indent);
        let mut room = self.columns - indent;
        for (tone, text) in parts {
            let shown = escape::fit(text, room);
            room -= escape::width(&shown);
            self.paint(*tone, &shown);
        }
        self.blank();
    }

    pub(super) fn table(&mut self, table: &Table) {
        table.write(self.style, &mut self.out);
    }

    fn paint(&mut self, tone: Tone, text: &str) {
        self.style.paint(&mut self.out, tone, text);
    }

    fn pad(&mut self, columns: usize) {
        self.out.extend(std::iter::repeat_n(' ', columns));
    }
}

/// Units that stay with their number.
const UNITS: [&str; 6] = ["s", "ms", "min", "h", "days", "%"];

/// Text that is escaped already, cut to `columns`.
pub(super) fn clip(text: &str, columns: usize) -> String {
    if escape::width(text) <= columns {
        return text.to_owned();
    }
    let mut used = 1;
    let fits = |c: &char| {
        used += escape::width(c.encode_utf8(&mut [0; 4]));
        used <= columns
    };
    text.chars().take_while(fits).chain(std::iter::once('…')).collect()
}

/// The text, escaped, in lines of at most `columns`, broken at blanks that are not U+00A0 and no number's unit follows; what exceeds [`PARAGRAPH_LINES`] is cut off.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let shown = with_units(&escape::fit(text, columns * PARAGRAPH_LINES));
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in shown.split(' ').flat_map(|word| pieces(word, columns)) {
        let width = escape::width(word);
        if used > 0 && used + 1 + width > columns {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += width;
        }
    }
    if lines.len() > PARAGRAPH_LINES {
        lines.truncate(PARAGRAPH_LINES);
        if let Some(last) = lines.last_mut() {
            *last = clip(&format!("{last} …"), columns);
        }
    }
    lines.into_iter().map(|line| line.replace('\u{a0}', " ")).collect()
}

/// The text with U+00A0 between each number and its unit.
fn with_units(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split(' ') {
        let unit = word.trim_end_matches([',', '.', ';', ':', ')']);
        let is_unit = UNITS.contains(&unit) && out.ends_with(|c: char| c.is_ascii_digit());
        if !out.is_empty() {
            out.push(if is_unit { '\u{a0}' } else { ' ' });
        }
        out.push_str(word);
    }
    out
}

/// A word in pieces of at most `columns`, so that one without spaces still fits.
fn pieces(word: &str, columns: usize) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let mut used = 0;
        let fits = |c: char| {
            used += escape::width(c.encode_utf8(&mut [0; 4]));
            used <= columns
        };
        let end = rest.len() - rest.trim_start_matches(fits).len();
        let (piece, after) = rest.split_at(end);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wraps_between_words_and_splits_what_has_none() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("0123456789 ab", 4), ["0123", "4567", "89", "ab"]);
        assert_eq!(wrap("", 7), [""]);
        assert_eq!(wrap("gone for 10 s, or 2 min 03 s.", 11), ["gone for", "10 s, or", "2 min 03 s."]);
        assert_eq!(wrap("of 7 phones s", 11), ["of 7 phones", "s"]);
    }

    proptest! {
        #[test]
        fn lines_fit_and_nothing_goes_on_for_ever(text in "(\\PC| |\n|\u{202e}){0,400}", columns in 8usize..40) {
            let lines = wrap(&text, columns);
            prop_assert!(lines.len() <= PARAGRAPH_LINES);
            prop_assert!(lines.iter().all(|line| escape::width(line) <= columns));
        }
    }
}
