//! Labels: closed sets of values, so that no text from the wire ever becomes one and the number of series is known when compiling.

/// A label's name and value.
pub(super) type Pair = (&'static str, &'static str);

/// One label, or several together, each combination of values numbered from 0.
pub trait Labels: Copy {
    /// How many combinations there are.
    const COUNT: usize;

    /// The number of this combination, less than [`COUNT`](Self::COUNT).
    fn index(self) -> usize;

    /// Appends the names and values of combination `index`, which is less than [`COUNT`](Self::COUNT).
    fn pairs(index: usize, pairs: &mut Vec<(&'static str, &'static str)>);
}

/// No label: one series.
impl Labels for () {
    const COUNT: usize = 1;

    fn index(self) -> usize {
        0
    }

    fn pairs(_: usize, _: &mut Vec<Pair>) {}
}

impl<A: Labels, B: Labels> Labels for (A, B) {
    const COUNT: usize = A::COUNT * B::COUNT;

    fn index(self) -> usize {
        self.0.index() * B::COUNT + self.1.index()
    }

    fn pairs(index: usize, pairs: &mut Vec<Pair>) {
        A::pairs(index / B::COUNT, pairs);
        B::pairs(index % B::COUNT, pairs);
    }
}

impl<A: Labels, B: Labels, C: Labels> Labels for (A, B, C) {
    const COUNT: usize = <(A, (B, C))>::COUNT;

    fn index(self) -> usize {
        (self.0, (self.1, self.2)).index()
    }

    fn pairs(index: usize, pairs: &mut Vec<Pair>) {
        <(A, (B, C))>::pairs(index, pairs);
    }
}

impl<A: Labels, B: Labels, C: Labels, D: Labels> Labels for (A, B, C, D) {
    const COUNT: usize = <((A, B), (C, D))>::COUNT;

    fn index(self) -> usize {
        ((self.0, self.1), (self.2, self.3)).index()
    }

    fn pairs(index: usize, pairs: &mut Vec<Pair>) {
        <((A, B), (C, D))>::pairs(index, pairs);
    }
}

/// Makes an enum without fields, with `ALL` in the order of its declaration and `as_str`, a label.
macro_rules! label {
    ($name:literal: $($ty:ty),+) => {$(
        impl Labels for $ty {
            const COUNT: usize = Self::ALL.len();

            fn index(self) -> usize {
                self as usize
            }

            fn pairs(index: usize, pairs: &mut Vec<Pair>) {
                pairs.extend(Self::ALL.get(index).map(|value| ($name, value.as_str())));
            }
        }
    )+};
}

/// Declares an enum and makes it a label.
macro_rules! label_enum {
    ($(#[$doc:meta])* $name:ident in $label:literal { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The value of the label.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        label!($label: $name);
    };
}

/// Declares a label of another name for the values of an existing one.
macro_rules! label_as {
    ($(#[$doc:meta])* $name:ident in $label:literal: $values:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub struct $name(pub $values);

        impl Labels for $name {
            const COUNT: usize = <$values>::ALL.len();

            fn index(self) -> usize {
                self.0 as usize
            }

            fn pairs(index: usize, pairs: &mut Vec<Pair>) {
                pairs.extend(<$values>::ALL.get(index).map(|value| ($label, value.as_str())));
            }
        }
    };
}

mod capture;
mod event;
mod history;
mod message;
mod notification;

pub use self::capture::{DropPlace, FragmentResult, FrameOutcome};
pub use self::event::{
    BindingChange, CallPhase, DelayResult, Dir, FailureReason, FromState, KeepaliveLabel, NatProbe, NatStage, NatVerdict, QualifyResult,
    ServerResponse, SessionResult, ShortCall, Subject, ToReachability, ToState, Unanswered,
};
pub use self::history::{LossLabel, StoreLabel};
pub use self::message::{CodeLabel, MessageKind, MethodLabel};
pub use self::notification::{NotificationResult, NotificationSink};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::track::vocabulary::{Outcome, PeerClass};

    /// All combinations of `L`, as text.
    fn all<L: Labels>() -> Vec<String> {
        let text = |index| {
            let mut pairs = Vec::new();
            L::pairs(index, &mut pairs);
            format!("{pairs:?}")
        };
        (0..L::COUNT).map(text).collect()
    }

    #[test]
    fn every_combination_has_its_own_number_and_text() {
        let texts = all::<(Dir, PeerClass, Outcome, CodeLabel)>();
        assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), 2 * PeerClass::ALL.len() * Outcome::ALL.len() * CodeLabel::COUNT);
        let labels = (Dir::Out, PeerClass::Trunk, Outcome::Busy, CodeLabel::of(Some(486)));
        assert_eq!(texts[labels.index()], r#"[("dir", "out"), ("peer_class", "trunk"), ("outcome", "busy"), ("code", "486")]"#);
    }
}
