//! Which files, ports and processes the process reaches: Landlock, landlock(7).

use std::path::PathBuf;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus, NetPort, RestrictionStatus, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

/// The rules that are asked for; a kernel that knows fewer keeps to those it knows. Linux 6.12 knows all.
const WANTED: ABI = ABI::V6;

/// What is to be reached; everything else is not. What is not there is left out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reach {
    /// Files, and directories with all below, that are read.
    pub read: Vec<PathBuf>,
    /// Directories below which files are made, written and removed, and devices.
    pub write: Vec<PathBuf>,
    /// TCP ports that are listened on.
    pub listen: Vec<u16>,
    /// TCP ports elsewhere that are connected to.
    pub connect: Vec<u16>,
    /// Whether programs of the operator are run.
    pub programs: Programs,
    /// Whether the service manager listens on an abstract socket, which is out of reach otherwise.
    pub manager: Manager,
}

/// Whether programs of the operator are run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Programs {
    /// None.
    #[default]
    None,
    /// Some: they read and run any file, connect anywhere, and write as this process does and in the directories for temporary files.
    Any,
}

/// Where the service manager listens.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Manager {
    /// At a path, or there is none.
    #[default]
    Path,
    /// At a name that is no path.
    Abstract,
}

impl Reach {
    /// Keeps this thread, and all that it starts, to this; says how far the kernel goes along.
    ///
    /// # Errors
    ///
    /// When the kernel knows such rules and refuses these.
    pub fn enforce(&self) -> Result<String, RulesetError> {
        let restricted = match self.programs {
            Programs::None => self.enforce_without_programs()?,
            Programs::Any => self.enforce_with_programs()?,
        };
        Ok(describe(&restricted))
    }

    fn enforce_without_programs(&self) -> Result<RestrictionStatus, RulesetError> {
        let mut ruleset = Ruleset::default()
            .handle_access(AccessFs::from_all(WANTED))?
            .handle_access(AccessNet::from_all(WANTED))?
            .scope(Scope::Signal)?;
        if self.manager == Manager::Path {
            ruleset = ruleset.scope(Scope::AbstractUnixSocket)?;
        }
        let port = |access| move |port: &u16| Ok::<_, RulesetError>(NetPort::new(*port, access));
        ruleset
            .create()?
            .add_rules(path_beneath_rules(&self.read, READ))?
            .add_rules(path_beneath_rules(&self.write, write()))?
            .add_rules(self.listen.iter().map(port(AccessNet::BindTcp)))?
            .add_rules(self.connect.iter().map(port(AccessNet::ConnectTcp)))?
            .restrict_self()
    }

    fn enforce_with_programs(&self) -> Result<RestrictionStatus, RulesetError> {
        let port = |port: &u16| Ok::<_, RulesetError>(NetPort::new(*port, AccessNet::BindTcp));
        Ruleset::default()
            .handle_access(AccessFs::from_all(WANTED))?
            .handle_access(AccessNet::BindTcp)?
            .scope(Scope::Signal)?
            .create()?
            .add_rules(path_beneath_rules(["/"], READ | AccessFs::Execute))?
            .add_rules(path_beneath_rules(["/tmp", "/var/tmp", "/dev"], write() | AccessFs::IoctlDev))?
            .add_rules(path_beneath_rules(&self.write, write()))?
            .add_rules(self.listen.iter().map(port))?
            .restrict_self()
    }
}

const READ: BitFlags<AccessFs> = landlock::make_bitflags!(AccessFs::{ReadFile | ReadDir});

/// Everything but running files, making devices and sockets, and talking to devices.
fn write() -> BitFlags<AccessFs> {
    READ | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer
}

/// Whether this kernel knows such rules.
pub fn is_known() -> bool {
    let anything = Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(AccessFs::from_all(ABI::V1));
    anything.and_then(Ruleset::create).is_ok()
}

fn describe(restricted: &RestrictionStatus) -> String {
    let known = match restricted.landlock {
        LandlockStatus::NotEnabled => "Landlock is not enabled".to_owned(),
        LandlockStatus::NotImplemented => "this kernel has no Landlock".to_owned(),
        LandlockStatus::Available { effective_abi, .. } => format!("Landlock ABI {}", effective_abi as i32),
    };
    let enforced = match restricted.ruleset {
        RulesetStatus::FullyEnforced => "all rules",
        RulesetStatus::PartiallyEnforced => "the rules it knows",
        RulesetStatus::NotEnforced => "no rules",
    };
    format!("{enforced} ({known})")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::ErrorKind;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::thread;

    use super::*;

    /// A thread of its own, since what is out of reach stays so.
    fn reaching<T: Send>(reach: Reach, work: impl FnOnce() -> T + Send) -> Option<T> {
        if !is_known() {
            println!("left out: this kernel has no Landlock");
            return None;
        }
        thread::scope(|scope| {
            let worker = scope.spawn(move || {
                rustix::thread::set_no_new_privs(true).expect("every kernel has it");
                reach.enforce().expect("rules");
                work()
            });
            Some(worker.join().expect("the work"))
        })
    }

    #[test]
    fn only_what_is_named_is_read_and_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["read", "write", "else"] {
            fs::create_dir(path(name)).expect("a folder");
            fs::write(path(name).join("file"), "x").expect("a file");
        }
        let reach = Reach { read: vec![path("read"), path("missing")], write: vec![path("write")], ..Reach::default() };
        reaching(reach, || {
            let kind = |result: std::io::Result<()>| result.map_err(|error| error.kind());
            let refused = Err(ErrorKind::PermissionDenied);
            assert_eq!(fs::read_to_string(path("read/file")).expect("named"), "x");
            assert_eq!(kind(fs::write(path("read/file"), "y")), refused);
            assert_eq!(kind(fs::rename(path("write/file"), path("write/new"))), Ok(()));
            assert_eq!(kind(fs::write(path("write/other"), "y")), Ok(()));
            assert_eq!(kind(fs::read(path("else/file")).map(drop)), refused);
            assert_eq!(kind(fs::write(path("else/new"), "y")), refused);
            assert_eq!(kind(std::process::Command::new("/bin/true").status().map(drop)), refused, "no programs");
        });
    }

    #[test]
    fn only_the_ports_that_are_named_are_connected_to() {
        let [named, other] = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener"));
        let port = |listener: &TcpListener| listener.local_addr().expect("an address").port();
        let reach = Reach { connect: vec![port(&named)], ..Reach::default() };
        // Kernels before 6.7 know no rules for ports.
        let ports = Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(AccessNet::ConnectTcp);
        if ports.and_then(Ruleset::create).is_err() {
            return println!("left out: this kernel has no rules for ports");
        }
        reaching(reach, || {
            let connect = |listener| TcpStream::connect((Ipv4Addr::LOCALHOST, port(listener))).map(drop).map_err(|error| error.kind());
            assert_eq!(connect(&named), Ok(()));
            assert_eq!(connect(&other), Err(ErrorKind::PermissionDenied));
            let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map(drop).map_err(|error| error.kind());
            assert_eq!(bound, Err(ErrorKind::PermissionDenied));
        });
    }
}
