//! Times in the middle of a sentence.

use crate::time::Span;

/// A length of time: `0.09 s`, `1.3 s`, `41 s`.
pub(super) fn lasting(span: Span) -> String {
    let seconds = span.as_secs_f64();
    match seconds {
        ..1.0 => format!("{seconds:.2} s"),
        ..10.0 => format!("{seconds:.1} s"),
        ..120.0 => format!("{seconds:.0} s"),
        _ if span.as_secs() < 600 && span.as_secs() % 60 == 0 => format!("{} s", span.as_secs()),
        _ => format!("{} min {:02} s", span.as_secs() / 60, span.as_secs() % 60),
    }
}

/// `1 message`, `2 messages`.
pub(super) fn counted(number: u64, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

/// What becomes of a number in words: `once`, `3 times`.
pub(super) fn times(number: u16) -> String {
    if number == 1 { "once".to_owned() } else { format!("{number} times") }
}
