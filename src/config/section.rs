//! One declaration per section of the file: its struct, its defaults, its bounds, its reader and its part of the annotated default file.

use super::reader::Fields;

/// One key of a section as the annotated default file shows it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The key inside its section.
    pub(super) key: &'static str,
    /// The lines of its documentation, as in the source.
    pub(super) about: &'static [&'static str],
    /// The value as TOML.
    pub(super) value: String,
}

/// A section of the configuration file.
pub(super) trait Section: Default {
    /// The name between the brackets.
    const NAME: &'static str;
    /// The lines of its documentation, as in the source.
    const ABOUT: &'static [&'static str];
    /// The keys it knows.
    const KEYS: &'static [&'static str];

    /// Takes the section's keys; what is missing or refused keeps its default.
    fn read(fields: &mut Fields<'_, '_>) -> Self;

    /// The keys with their present values, in the order of the declaration.
    fn entries(&self) -> Vec<Entry>;
}

/// One of several tables of the same name, such as each `[[notify.webhook]]`.
pub(super) trait Item: Sized {
    /// The name between the brackets.
    const NAME: &'static str;
    /// The keys it knows.
    const KEYS: &'static [&'static str];

    /// Takes the table's keys; nothing where one that it needs is missing or refused.
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self>;
}

/// Declares a section: `key: Type = default;`, with bounds `key: Type = default, within low..=high;` where the type is ordered.
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        $name:ident in $section:literal {
            $( $(#[doc = $doc:literal])* $key:ident: $ty:ty = $default:expr $(, within $range:expr)?; )+
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $( $(#[doc = $doc])* pub $key: $ty, )+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $key: $default, )+ }
            }
        }

        impl $crate::config::section::Section for $name {
            const NAME: &'static str = $section;
            const ABOUT: &'static [&'static str] = &[$($about),*];
            const KEYS: &'static [&'static str] = &[$(stringify!($key)),+];

            fn read(fields: &mut $crate::config::reader::Fields<'_, '_>) -> Self {
                Self { $( $key: section!(@take fields, stringify!($key), $default $(, $range)?), )+ }
            }

            fn entries(&self) -> Vec<$crate::config::section::Entry> {
                vec![$(
                    $crate::config::section::Entry {
                        key: stringify!($key),
                        about: &[$($doc),*],
                        value: $crate::config::value::Setting::write(&self.$key),
                    },
                )+]
            }
        }
    };
    (@take $fields:ident, $key:expr, $default:expr) => { $fields.take($key, $default) };
    (@take $fields:ident, $key:expr, $default:expr, $range:expr) => { $fields.take_within($key, $default, $range) };
}
pub(super) use section;
