//! The phone systems of a host, by the names that the user gave them, and what is captured for them.

use std::net::SocketAddr;

use super::Config;
use super::labels::Label;
use super::reader::{Fields, Reader};
use super::section::Item;
use super::types::{Interfaces, PbxAddress, Ports};

/// Addresses of all phone systems together, each with each of its ports: as many as tracking tells apart.
const MOST_ADDRESSES: usize = 64;
/// What the addresses of a phone system may be.
const ADDRESSES: &str = "a list of at least one address such as [\"203.0.113.10\"], which tells this PBX from the others";

/// One of several phone systems.
#[derive(Clone, Debug, PartialEq)]
pub struct PhoneSystem {
    /// How it is called in metrics and reports.
    pub name: Label,
    /// Its addresses. One without a port is its own on each of the ports, and on all that no other phone system has.
    pub addresses: Vec<PbxAddress>,
    /// Its ports, where they differ from those of the capture.
    pub ports: Option<Ports>,
    /// The interfaces that its traffic crosses, where they differ from those of the capture.
    pub interfaces: Option<Interfaces>,
}

impl Item for PhoneSystem {
    const NAME: &'static str = "pbx";
    const KEYS: &'static [&'static str] = &["name", "addresses", "ports", "interfaces"];

    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let name: Option<Label> = fields.need("name", Label::ALLOWED);
        fields.claim("name", name.iter().map(ToString::to_string), "a name that no other [[pbx]] has");
        let addresses: Option<Vec<PbxAddress>> = fields.need("addresses", ADDRESSES);
        let texts = addresses.iter().flatten().map(ToString::to_string);
        fields.claim("addresses", texts, "addresses that no other [[pbx]] has; an address may be shared with the ports written to it");
        let ports = fields.take_optional("ports");
        let interfaces = fields.take_optional("interfaces");
        Some(Self { name: name?, addresses: addresses?, ports, interfaces })
    }
}

impl PhoneSystem {
    /// Its addresses with their ports; of a range of ports the first stands for all.
    fn sockets(&self) -> impl Iterator<Item = SocketAddr> {
        self.addresses.iter().flat_map(|address| {
            let ranges = self.ports.as_ref().filter(|_| address.port.is_none()).map(Ports::ranges).unwrap_or_default();
            let only = ranges.is_empty().then(|| address.port.unwrap_or(Ports::SIP));
            only.into_iter().chain(ranges.iter().map(|range| *range.start())).map(|port| SocketAddr::new(address.ip, port))
        })
    }

    /// How well `address` fits it: by its port, by one of its ports, or by its host alone.
    fn fits(&self, address: SocketAddr) -> Option<Fit> {
        let fit = |own: &PbxAddress| match own.port {
            _ if own.ip != address.ip() => None,
            Some(port) if port == address.port() => Some(Fit::Port),
            Some(_) => Some(Fit::Host),
            None if self.ports.as_ref().is_some_and(|ports| ports.contains(address.port())) => Some(Fit::Ports),
            None => Some(Fit::AnyPort),
        };
        self.addresses.iter().filter_map(fit).max()
    }
}

/// How an address fits a phone system, the best last.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Fit {
    /// It is known with other ports.
    Host,
    /// It is known without a port.
    AnyPort,
    /// It is known without a port, and its ports are.
    Ports,
    /// It is known with this port.
    Port,
}

/// The phone systems of a host: at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Systems(Vec<PhoneSystem>);

/// One, whose addresses are learned.
impl Default for Systems {
    fn default() -> Self {
        Self::one(Label::default(), Vec::new())
    }
}

impl Systems {
    fn one(name: Label, addresses: Vec<PbxAddress>) -> Self {
        Self(vec![PhoneSystem { name, addresses, ports: None, interfaces: None }])
    }

    /// Their names, in the order of the configuration.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(|system| system.name.as_str())
    }

    /// Their configured addresses with their ports.
    pub fn sockets(&self) -> Vec<SocketAddr> {
        self.0.iter().flat_map(PhoneSystem::sockets).collect()
    }

    /// The number of the phone system at `address`, where it has a part in a conversation with a PBX. One that is alone is it in any case.
    pub fn find(&self, address: SocketAddr) -> Option<usize> {
        if self.0.len() == 1 {
            return Some(0);
        }
        let fits = self.0.iter().enumerate().filter_map(|(index, system)| Some((system.fits(address)?, index)));
        // Of several that fit as well the first in the file.
        fits.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, index)| index)
    }

    /// The number of the phone system where there is but one.
    pub fn only(&self) -> Option<usize> {
        (self.0.len() == 1).then_some(0)
    }

    /// The numbers of two phone systems that talk to each other, where these addresses are two of them.
    pub fn pair(&self, source: SocketAddr, destination: SocketAddr) -> Option<(usize, usize)> {
        if self.0.len() == 1 {
            return None;
        }
        self.find(source).zip(self.find(destination)).filter(|(source, destination)| source != destination)
    }

    /// The name that the user gave the phone system at `address`, if any.
    pub fn name_at(&self, address: SocketAddr) -> Option<&str> {
        let name = &self.0.get(self.find(address)?)?.name;
        (*name != Label::default()).then(|| name.as_str())
    }
}

impl Config {
    /// The phone systems.
    pub fn phone_systems(&self) -> Systems {
        match self.systems.as_slice() {
            [] => Systems::one(self.pbx.name.clone(), self.pbx.addresses.clone()),
            several => Systems(several.to_vec()),
        }
    }

    /// Takes these addresses for those of the PBX, in place of all that is configured.
    pub fn set_pbx(&mut self, addresses: Vec<PbxAddress>) {
        self.systems.clear();
        self.pbx.addresses = addresses;
    }

    /// Captures on these ports, in place of all that is configured.
    pub fn set_ports(&mut self, ports: Ports) {
        self.systems.iter_mut().for_each(|system| system.ports = None);
        self.capture.ports = ports;
    }

    /// Captures on these interfaces, in place of all that is configured.
    pub fn set_interfaces(&mut self, interfaces: Interfaces) {
        self.systems.iter_mut().for_each(|system| system.interfaces = None);
        self.capture.interfaces = interfaces;
    }

    /// The ports of all phone systems: each has its own, or those of the capture.
    pub fn all_ports(&self) -> Ports {
        let own = self.systems.iter().map(|system| system.ports.as_ref().unwrap_or(&self.capture.ports));
        Ports::union(own).unwrap_or_else(|| self.capture.ports.clone())
    }

    /// The interfaces of all phone systems: each has its own, or those of the capture.
    pub fn all_interfaces(&self) -> Interfaces {
        let own = self.systems.iter().map(|system| system.interfaces.as_ref().unwrap_or(&self.capture.interfaces));
        Interfaces::union(own).unwrap_or_else(|| self.capture.interfaces.clone())
    }

    /// Objects to more addresses than can be told apart.
    pub(super) fn check_systems(&self, reader: &mut Reader<'_>) {
        if self.phone_systems().sockets().len() > MOST_ADDRESSES {
            reader.object("pbx.addresses", &format!("at most {MOST_ADDRESSES} addresses in all, each with each of its ports"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"
        [capture]
        interfaces = ["eth0"]
        [[pbx]]
        name = "berlin"
        addresses = ["203.0.113.10", "[2001:db8::1]:5060"]
        [[pbx]]
        name = "munich"
        addresses = ["203.0.113.10:5080", "203.0.113.20"]
        ports = [5080, "6000-6010"]
        interfaces = ["eth1", "eth0"]
    "#;

    fn config(text: &str) -> Config {
        Config::parse(text).expect("valid")
    }

    fn problems(text: &str) -> Vec<String> {
        Config::parse(text).expect_err("problems").0.iter().map(ToString::to_string).collect()
    }

    fn name(systems: &Systems, address: &str) -> Option<String> {
        let index = systems.find(address.parse().expect("an address"))?;
        systems.names().nth(index).map(str::to_owned)
    }

    #[test]
    fn each_address_has_its_phone_system() {
        let systems = config(TWO).phone_systems();
        for (address, expected) in [
            ("203.0.113.10:5060", Some("berlin")),
            ("203.0.113.10:40000", Some("berlin")),
            ("203.0.113.10:5080", Some("munich")),
            ("[2001:db8::1]:45000", Some("berlin")),
            ("203.0.113.20:6005", Some("munich")),
            ("203.0.113.20:1", Some("munich")),
            ("203.0.113.30:5060", None),
        ] {
            assert_eq!(name(&systems, address).as_deref(), expected, "{address}");
        }
        let [berlin, munich, other] = ["203.0.113.10:5060", "203.0.113.20:5080", "192.0.2.1:5060"].map(|text| text.parse().unwrap());
        assert_eq!(systems.pair(berlin, munich), Some((0, 1)));
        assert_eq!((systems.pair(berlin, berlin), systems.pair(other, munich)), (None, None));
        let sockets: Vec<_> = systems.sockets().iter().map(ToString::to_string).collect();
        assert_eq!(sockets, ["203.0.113.10:5060", "[2001:db8::1]:5060", "203.0.113.10:5080", "203.0.113.20:5080", "203.0.113.20:6000"]);
    }

    #[test]
    fn what_is_captured_is_what_any_of_them_needs() {
        let config = config(TWO);
        assert_eq!(config.all_ports().to_string(), "5060, 5080, 6000-6010");
        assert_eq!(config.all_interfaces().names(), ["eth0", "eth1"]);
        let mut overruled = config.clone();
        overruled.set_ports(Ports::default());
        overruled.set_interfaces(Interfaces::default());
        assert_eq!((overruled.all_ports(), overruled.all_interfaces()), (Ports::default(), Interfaces::default()));
    }

    #[test]
    fn any_interface_has_all_others_in_it() {
        let text = TWO.replace("[\"eth0\"]", "[\"any\"]");
        assert_eq!(config(&text).all_interfaces().names(), ["any"], "and no frame is captured twice");
    }

    #[test]
    fn one_phone_system_has_all_addresses_and_its_name_only_if_it_was_given_one() {
        let address: SocketAddr = "192.0.2.1:5060".parse().unwrap();
        let default = Config::default().phone_systems();
        assert_eq!((default.find(address), default.name_at(address)), (Some(0), None));
        assert_eq!(default, Systems::default());
        assert_eq!(default.names().collect::<Vec<_>>(), ["default"]);
        let named = config("[pbx]\nname = \"office\"\n").phone_systems();
        assert_eq!(named.name_at(address), Some("office"));
        assert!(named.sockets().is_empty(), "it is learned");
    }

    #[test]
    fn an_address_of_the_command_line_stands_for_all_that_is_configured() {
        let mut config = config(TWO);
        config.set_pbx(vec!["192.0.2.9".parse().unwrap()]);
        assert_eq!(config.phone_systems().sockets(), ["192.0.2.9:5060".parse().unwrap()]);
    }

    #[test]
    fn all_that_is_wrong_with_phone_systems_is_told_at_once() {
        let text = r#"[[pbx]]
name = "berlin"
addresses = ["203.0.113.10"]
[[pbx]]
name = "berlin"
addresses = []
prots = [5060]
[[pbx]]
addresses = ["203.0.113.10", "pbx.example.com"]
[[pbx]]
name = "other"
addresses = ["203.0.113.10"]
"#;
        let found = problems(text);
        let begins = [
            r#"line 5: pbx.name: "berlin" is not allowed; wanted: a name that no other [[pbx]] has"#,
            "line 6: pbx.addresses: [] is not allowed; wanted: a list of at least one address",
            "line 7: pbx.prots: there is no such key; did you mean pbx.ports?",
            "line 8: pbx.name: is missing; wanted: a name",
            r#"line 9: pbx.addresses: "pbx.example.com" is not allowed; wanted: an IP address"#,
            r#"line 11: pbx.name: "other" is not allowed; wanted: a name"#,
            r#"line 12: pbx.addresses: ["203.0.113.10"] is not allowed; wanted: addresses that no other [[pbx]] has"#,
        ];
        for (found, begin) in found.iter().zip(begins) {
            assert!(found.starts_with(begin), "{found}\n{begin}");
        }
        assert_eq!(found.len(), begins.len(), "{found:#?}");
    }

    #[test]
    fn more_addresses_than_can_be_told_apart_are_refused() {
        let list = |count: usize| (0..count).map(|n| format!("\"10.0.0.{n}\"")).collect::<Vec<_>>().join(", ");
        assert!(Config::parse(&format!("[pbx]\naddresses = [{}]\n", list(64))).is_ok());
        assert!(problems(&format!("[pbx]\naddresses = [{}]\n", list(65)))[0].contains("at most 64 addresses"));
        let ports = "ports = [1, 3, 5, 7, 9, 11, 13]";
        assert!(problems(&format!("[[pbx]]\nname = \"a\"\naddresses = [{}]\n{ports}\n", list(10)))[0].contains("at most 64 addresses"));
    }
}
