//! Tables whose columns are as wide as their content, and shrink where the page is too narrow.

use super::super::escape;
use super::super::style::{Style, Tone};
use super::page::{COLUMNS, INDENT, clip};

/// Blanks between two columns.
const GAP: usize = 2;
/// No column shrinks below this.
const NARROWEST: usize = 4;
/// Content wider than this is cut before it is laid out.
const WIDEST: usize = 48;

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Align {
    #[default]
    Left,
    Right,
}

/// A value in a table.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
    align: Align,
}

impl Cell {
    /// A cell with a value from anywhere: it is escaped here.
    pub(super) fn new(text: impl AsRef<str>) -> Self {
        Self { text: escape::fit(text.as_ref(), WIDEST), ..Self::default() }
    }

    /// A cell that stands at the right of its column, as numbers do.
    pub(super) fn number(text: impl AsRef<str>) -> Self {
        Self { align: Align::Right, ..Self::new(text) }
    }

    pub(super) fn tone(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }
}

/// Rows under titles; a column without any content is left out.
pub(super) struct Table {
    titles: Vec<&'static str>,
    rows: Vec<Row>,
}

struct Row {
    cells: Vec<Cell>,
    notes: Vec<(Tone, String)>,
}

impl Table {
    pub(super) fn new(titles: &[&'static str]) -> Self {
        Self { titles: titles.to_vec(), rows: Vec::new() }
    }

    /// Appends a row; it has a cell for each title.
    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(Row { cells, notes: Vec::new() });
    }

    /// Puts a remark on a line of its own under the last row, from the second column on.
    pub(super) fn note(&mut self, tone: Tone, text: impl Into<String>) {
        if let Some(row) = self.rows.last_mut() {
            row.notes.push((tone, text.into()));
        }
    }

    pub(super) fn write(&self, style: Style, out: &mut String) {
        let widths = self.widths();
        if self.titles.iter().any(|title| !title.is_empty()) {
            let head: Vec<Cell> = self.titles.iter().enumerate().map(|(column, title)| self.title(column, title)).collect();
            write_row(&head, &widths, style, out);
        }
        let second = INDENT + widths.first().map_or(0, |width| width + GAP);
        for row in &self.rows {
            write_row(&row.cells, &widths, style, out);
            for (tone, note) in &row.notes {
                out.extend(std::iter::repeat_n(' ', second));
                style.paint(out, *tone, &escape::fit(note, COLUMNS - second));
                out.push('\n');
            }
        }
    }

    /// The cells of a column, from the top.
    fn column(&self, column: usize) -> impl Iterator<Item = &Cell> {
        self.rows.iter().filter_map(move |row| row.cells.get(column))
    }

    /// A title stands on the side on which the values of its column do.
    fn title(&self, column: usize, title: &str) -> Cell {
        let align = self.column(column).find(|cell| !cell.text.is_empty()).map(|cell| cell.align);
        Cell { text: title.to_owned(), tone: Tone::Faint, align: align.unwrap_or_default() }
    }

    /// The width of each column, 0 for one that has no content; together they fit on the page.
    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.titles.iter().enumerate().map(|(column, title)| self.natural_width(column, title)).collect();
        let gaps = widths.iter().filter(|&&width| width > 0).count().saturating_sub(1) * GAP;
        while widths.iter().sum::<usize>() + gaps + INDENT > COLUMNS {
            match widths.iter_mut().max_by_key(|width| **width) {
                Some(widest) if *widest > NARROWEST => *widest -= 1,
                _ => break,
            }
        }
        widths
    }

    fn natural_width(&self, column: usize, title: &str) -> usize {
        let content = self.column(column).map(|cell| escape::width(&cell.text)).max().unwrap_or(0);
        if content == 0 { 0 } else { content.max(escape::width(title)) }
    }
}

fn write_row(row: &[Cell], widths: &[usize], style: Style, out: &mut String) {
    let mut pending = INDENT;
    for (cell, &width) in row.iter().zip(widths).filter(|&(_, &width)| width > 0) {
        let text = clip(&cell.text, width);
        let slack = width - escape::width(&text);
        let (before, after) = match cell.align {
            Align::Left => (0, slack),
            Align::Right => (slack, 0),
        };
        if !text.is_empty() {
            out.extend(std::iter::repeat_n(' ', pending + before));
            style.paint(out, cell.tone, &text);
            pending = after + GAP;
        } else {
            pending += width + GAP;
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(table: &Table) -> String {
        let mut out = String::new();
        table.write(Style::Plain, &mut out);
        out
    }

    #[test]
    fn columns_align_and_lines_have_no_trailing_blanks() {
        let mut table = Table::new(&["name", "n", "empty", "last"]);
        table.row(vec![Cell::new("a"), Cell::number("1"), Cell::default(), Cell::new("x")]);
        table.row(vec![Cell::new("long name"), Cell::number("1000"), Cell::default(), Cell::default()]);
        assert_eq!(rendered(&table), "  name          n  last\n  a             1  x\n  long name  1000\n");
    }

    #[test]
    fn the_widest_column_gives_way_first() {
        let mut table = Table::new(&["short", "long", "longer"]);
        table.row(vec![Cell::new("12345678"), Cell::new("x".repeat(45)), Cell::new("y".repeat(90))]);
        let text = rendered(&table);
        assert!(text.lines().all(|line| escape::width(line) <= COLUMNS), "{text}");
        assert!(text.contains("12345678"), "{text}");
        assert!(text.contains('…'), "{text}");
    }
}
