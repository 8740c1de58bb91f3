//! The report for programs: JSON, two spaces of indent, one line at the end.

use std::io::{self, BufWriter, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use super::escape::is_hidden;

/// Bytes gathered before they are handed to the writer.
const BUFFER: usize = 1 << 16;

/// Writes `value` as JSON, entry by entry, so that a large report is never held as text.
///
/// # Errors
///
/// Any error of `out`.
pub fn write(value: &impl Serialize, out: impl Write) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(BUFFER, out);
    value.serialize(&mut Serializer::with_formatter(&mut out, VisibleFormatter::default()))?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes `value` as JSON on a line of its own, for streams of one object a line. Hidden characters stand as `\uNNNN` here too.
///
/// # Errors
///
/// Any error of `out`.
pub fn write_line(value: &impl Serialize, mut out: impl Write) -> io::Result<()> {
    let text = serde_json::to_string(value)?;
    let mut line = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        // Outside of strings JSON has no hidden character but white space, of which this form has none.
        if is_hidden(c) {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| line.push_str(&format!("\\u{unit:04x}")));
        } else {
            line.push(c);
        }
    }
    line.push('\n');
    out.write_all(line.as_bytes())
}

/// The break before an entry and the indent of the deepest one that is written at once.
const BREAK: &[u8] = b",\n                                ";

/// Pretty JSON in which hidden characters ([`is_hidden`]) stand as `\uNNNN`: the same strings for a program, and safe on a terminal. Each
/// break with its indent is written at once, where the formatter that comes with `serde_json` writes level by level.
#[derive(Default)]
struct VisibleFormatter {
    depth: usize,
    /// Whether the array or object that ends next has entries.
    has_value: bool,
}

impl VisibleFormatter {
    /// Begins an array or object.
    fn open<W: ?Sized + Write>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.has_value = false;
        out.write_all(bracket)
    }

    /// Ends it.
    fn close<W: ?Sized + Write>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if self.has_value {
            self.begin_entry(out, true)?;
        }
        out.write_all(bracket)
    }

    /// Begins a line, behind a comma unless it is the first.
    fn begin_entry<W: ?Sized + Write>(&self, out: &mut W, first: bool) -> io::Result<()> {
        let at_once = (2 + 2 * self.depth).min(BREAK.len());
        out.write_all(&BREAK[usize::from(first)..at_once])?;
        (at_once..2 + 2 * self.depth).try_for_each(|_| out.write_all(b" "))
    }
}

/// Whether all bytes are printable ASCII, eight at a time. Control characters stand in no fragment: they were escaped before.
fn is_plain(bytes: &[u8]) -> bool {
    /// One in each byte.
    const ONES: u64 = u64::MAX / 255;
    let Some(last) = bytes.last_chunk::<8>() else { return bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) };
    // The highest bit of a byte is set in it above 127, and in one more than it for 127.
    let high = |bytes: [u8; 8]| {
        let bytes = u64::from_le_bytes(bytes);
        bytes | bytes.wrapping_add(ONES)
    };
    let all = bytes.as_chunks::<8>().0.iter().fold(high(*last), |all, bytes| all | high(*bytes));
    all & (ONES << 7) == 0
}

impl Formatter for VisibleFormatter {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        if is_plain(fragment.as_bytes()) {
            return out.write_all(fragment.as_bytes());
        }
        let mut start = 0;
        for (at, c) in fragment.char_indices().filter(|&(_, c)| is_hidden(c)) {
            out.write_all(&fragment.as_bytes()[start..at])?;
            c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"))?;
            start = at + c.len_utf8();
        }
        out.write_all(&fragment.as_bytes()[start..])
    }

    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.begin_entry(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.begin_entry(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(value: &impl Serialize) -> String {
        let mut out = Vec::new();
        write(value, &mut out).expect("a vector takes every byte");
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn hidden_characters_stand_as_escapes() {
        assert_eq!(json(&"a\x1b\u{7f}\u{9b}\u{202e}\u{e0001}ü"), "\"a\\u001b\\u007f\\u009b\\u202e\\udb40\\udc01ü\"\n");
    }

    #[test]
    fn the_layout_is_the_usual_one() {
        let deep = (0..20).fold(serde_json::json!([]), |inner, n| serde_json::json!({"a": [n, inner, {}], "b": null}));
        assert_eq!(json(&deep), format!("{deep:#}\n"));
    }

    #[test]
    fn a_writer_that_fails_is_an_error_not_a_cut_report() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let error = write(&"x", Full).expect_err("nothing can be written");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    proptest! {
        #[test]
        fn any_string_survives_and_shows_no_hidden_character(value in any::<String>()) {
            let written = json(&value);
            prop_assert!(!written.trim_end().chars().any(is_hidden));
            let read: String = serde_json::from_str(&written).expect("what was written is JSON");
            prop_assert_eq!(read, value);
        }
    }
}
