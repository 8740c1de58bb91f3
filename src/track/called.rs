//! As whom the PBX calls a peer.

/// As whom the PBX calls a peer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Called {
    /// Not at all.
    #[default]
    Never,
    /// As one user alone, by the low bits of its digest.
    As(u32),
    /// As several users, or it registers there.
    Otherwise,
}

impl Called {
    /// With one call more.
    pub(super) fn and(self, call: Self) -> Self {
        if self == Self::Never || self == call { call } else { Self::Otherwise }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_called_as_two_users_is_not_one_of_them() {
        let called = |calls: &[Called]| calls.iter().fold(Called::Never, |called, call| called.and(*call));
        assert_eq!(called(&[Called::As(1), Called::As(1)]), Called::As(1));
        assert_eq!(called(&[Called::As(1), Called::As(2), Called::As(1)]), Called::Otherwise);
        assert_eq!(called(&[Called::Otherwise, Called::As(1)]), Called::Otherwise);
    }
}
