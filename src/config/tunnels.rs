//! Which tunnels are believed.

/// A way to carry packets inside packets. Tags of VLANs, labels of MPLS and sessions of PPPoE are none: nobody can send them from afar.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tunnel {
    /// VXLAN, RFC 7348.
    Vxlan,
    /// GRE, RFC 2784, with IP, PPP or Ethernet inside.
    Gre,
    /// ERSPAN of any type, the mirror of a switch within GRE.
    Erspan,
    /// GTP-U, 3GPP TS 29.281.
    Gtp,
    /// IP within IP, RFC 2003, RFC 2473, RFC 4213.
    Ipip,
}

impl Tunnel {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Vxlan, Self::Gre, Self::Erspan, Self::Gtp, Self::Ipip];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vxlan => "vxlan",
            Self::Gre => "gre",
            Self::Erspan => "erspan",
            Self::Gtp => "gtp",
            Self::Ipip => "ipip",
        }
    }
}

/// The kinds of tunnels whose inside is read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tunnels(u8);

impl Tunnels {
    /// No tunnel: who may send one to this host may write any address into it.
    pub const NONE: Self = Self(0);
    /// Every tunnel, as in a capture that a mirror brought about.
    pub const ALL: Self = Self((1 << Tunnel::ALL.len()) - 1);

    /// Whether tunnels of this kind are read.
    pub const fn contains(self, tunnel: Tunnel) -> bool {
        self.0 & (1 << tunnel as u8) != 0
    }

    /// These and `tunnel`.
    #[must_use]
    pub const fn with(self, tunnel: Tunnel) -> Self {
        Self(self.0 | 1 << tunnel as u8)
    }

    /// The kinds, in the order of [`Tunnel::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Tunnel> {
        Tunnel::ALL.into_iter().filter(move |tunnel| self.contains(*tunnel))
    }
}

impl FromIterator<Tunnel> for Tunnels {
    fn from_iter<I: IntoIterator<Item = Tunnel>>(tunnels: I) -> Self {
        tunnels.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let some: Tunnels = [Tunnel::Ipip, Tunnel::Erspan, Tunnel::Ipip].into_iter().collect();
        assert_eq!(some.iter().collect::<Vec<_>>(), [Tunnel::Erspan, Tunnel::Ipip]);
        assert_eq!(Tunnel::ALL.into_iter().collect::<Tunnels>(), Tunnels::ALL);
        assert_eq!(Tunnels::NONE.iter().count(), 0);
    }
}
