//! Text from the wire, made safe to show on a terminal.
//!
//! What a phone sends may hold terminal control sequences, bytes that are no UTF-8, and characters that reverse or hide the text around
//! them. All of these are shown as visible escapes: `\n`, `\x1b`, `\u{202e}`; a backslash is doubled, so that no escape can be forged.

use std::fmt::{self, Write};

use unicode_width::UnicodeWidthChar;

/// Shown in place of what was cut off.
const ELLIPSIS: char = '…';

/// Bytes that display as safe text.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(&'a [u8]);

/// The text, safe to show.
pub fn text(text: &str) -> Escaped<'_> {
    Escaped(text.as_bytes())
}

/// The bytes as safe text; those that are no UTF-8 show as `\xNN`.
pub fn bytes(bytes: &[u8]) -> Escaped<'_> {
    Escaped(bytes)
}

/// The text, safe to show and at most `columns` wide; what does not fit is cut off at the end and replaced by `…`.
pub fn fit(value: &str, columns: usize) -> String {
    let mut kept = Kept::new(columns);
    let complete = value.chars().try_for_each(|c| kept.push(c)).is_ok();
    kept.finish(complete)
}

/// Columns that text without control characters takes on a terminal.
pub fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// Whether a character shows as nothing, or changes how its neighbours show: controls, bidirectional overrides, zero-width and combining
/// characters, line and paragraph separators.
pub fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{2028}' | '\u{2029}') || !matches!(c.width(), Some(1..))
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            chunk.valid().chars().try_for_each(|c| write_escaped(f, c))?;
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

fn write_escaped(out: &mut impl Write, c: char) -> fmt::Result {
    match c {
        '\\' => out.write_str("\\\\"),
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        '\0'..='\x1f' | '\x7f' => write!(out, "\\x{:02x}", u32::from(c)),
        _ if is_hidden(c) => write!(out, "\\u{{{:x}}}", u32::from(c)),
        _ => out.write_char(c),
    }
}

/// The beginning of an escaped text, as far as it fits, with the place remembered where an ellipsis would still fit.
struct Kept {
    text: String,
    width: usize,
    columns: usize,
    cut_at: usize,
}

/// The next character does not fit.
struct Full;

impl Kept {
    fn new(columns: usize) -> Self {
        Self { text: String::new(), width: 0, columns, cut_at: 0 }
    }

    fn push(&mut self, c: char) -> Result<(), Full> {
        let start = self.text.len();
        // Writing to a string cannot fail.
        let _ = write_escaped(&mut self.text, c);
        self.width += width(self.text.get(start..).unwrap_or_default());
        if self.width > self.columns {
            return Err(Full);
        }
        if self.width < self.columns {
            self.cut_at = self.text.len();
        }
        Ok(())
    }

    fn finish(mut self, complete: bool) -> String {
        if !complete {
            self.text.truncate(self.cut_at);
            if self.columns > 0 {
                self.text.push(ELLIPSIS);
            }
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn controls_and_overrides_become_visible() {
        assert_eq!(text("a\x1b[31mb\u{7f}\u{9b}2J").to_string(), "a\\x1b[31mb\\x7f\\u{9b}2J");
        assert_eq!(text("1001\u{202e}gnp.exe\u{2066}").to_string(), "1001\\u{202e}gnp.exe\\u{2066}");
        assert_eq!(text("line\r\nnext\ttab\u{2028}").to_string(), "line\\r\\nnext\\ttab\\u{2028}");
        assert_eq!(text("zero\u{200b}width \u{feff}").to_string(), "zero\\u{200b}width \\u{feff}");
    }

    #[test]
    fn ordinary_text_of_any_script_stays_as_it_is() {
        for plain in ["1001@pbx.example.com", "Zoë Müller", "山田 太郎", "שלום", "+49 (30) 123-45", "sip:a@[2001:db8::1]:5060;x=\"y\""]
        {
            assert_eq!(text(plain).to_string(), plain);
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_show_as_hex() {
        assert_eq!(bytes(b"caf\xe9 \xff\xfe").to_string(), "caf\\xe9 \\xff\\xfe");
    }

    #[test]
    fn an_escape_cannot_be_forged() {
        assert_eq!(text("\\x1b").to_string(), "\\\\x1b");
    }

    #[test]
    fn cutting_keeps_room_for_the_ellipsis() {
        assert_eq!(fit("1001", 4), "1001");
        assert_eq!(fit("10015", 4), "100…");
        assert_eq!(fit("山田太郎", 5), "山田…");
        assert_eq!(fit("山田太郎", 4), "山…", "half of a wide character is not shown");
        assert_eq!(fit("ab\x1bcd", 5), "ab…", "an escape is never cut in the middle");
        assert_eq!(fit("x", 0), "");
    }

    proptest! {
        #[test]
        fn output_is_visible_and_within_its_columns(value in "\\PC{0,20}|(?s:.{0,20})", columns in 0usize..30) {
            let shown = fit(&value, columns);
            prop_assert!(width(&shown) <= columns);
            prop_assert!(!shown.chars().any(is_hidden));
        }

        #[test]
        fn any_bytes_show_without_hidden_characters(wire in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(!bytes(&wire).to_string().chars().any(is_hidden));
        }
    }
}
