//! Which files, ports and processes the process reaches: Landlock, landlock(7).

use std::path::PathBuf;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, RestrictionStatus, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, path_beneath_rules,
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
