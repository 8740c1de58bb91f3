//! Capabilities, and the user a daemon runs as.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capability_is_in_bounding_set, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

/// The capability sets that must be empty; that of the bounds only limits what a program gets that is run.
const EMPTY: [&str; 4] = ["CapInh", "CapPrm", "CapEff", "CapAmb"];

/// Why the process may still do what it should not.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// The kernel refused to take something away.
    #[error("cannot give up {what}: {cause}")]
    Refused {
        /// What.
        what: &'static str,
        /// What the system says.
        #[source]
        cause: Errno,
    },
    /// A thread still has something.
    #[error("thread {thread} still has {line}")]
    Kept {
        /// Its number and name.
        thread: String,
        /// The line of its status.
        line: String,
    },
    /// The status of the threads cannot be read.
    #[error("cannot read what the threads may do in {path}: {cause}")]
    Unknown {
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
}

/// As root, becomes the owner of the first of `directories` that is there and is not root's, so that what is written there belongs to whoever
/// reads it later. Returns the user it became.
///
/// Must be called while there is one thread.
///
/// # Errors
///
/// When the kernel refuses to.
pub fn become_owner<'a>(directories: impl IntoIterator<Item = &'a Path>) -> Result<Option<u32>, PrivilegeError> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let owner = directories.into_iter().find_map(|directory| fs::metadata(directory).ok()).map(|found| (found.uid(), found.gid()));
    let Some((uid, gid)) = owner.filter(|(uid, _)| *uid != 0) else { return Ok(None) };
    let refused = |cause| PrivilegeError::Refused { what: "the user root", cause };
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_groups(&[]).map_err(refused)?;
    set_thread_res_gid(group, group, group).map_err(refused)?;
    set_thread_res_uid(user, user, user).map_err(refused)?;
    Ok(Some(uid))
}

/// Gives up all capabilities, and that programs which are run get any. What bounds them is emptied where the process may.
///
/// Must be called while there is one thread. A process that is root stays it, without what makes root different.
///
/// # Errors
///
/// When the kernel refuses to.
pub fn give_up() -> Result<(), PrivilegeError> {
    let refused = |what| move |cause| PrivilegeError::Refused { what, cause };
    // Before the rest: it takes CAP_SETPCAP, which a unit does not have.
    for capability in CapabilitySet::all().iter() {
        if capability_is_in_bounding_set(capability).unwrap_or(false) {
            match remove_capability_from_bounding_set(capability) {
                Ok(()) => {}
                Err(Errno::PERM) => break,
                Err(cause) => return Err(refused("the bounding set")(cause)),
            }
        }
    }
    match clear_ambient_capability_set() {
        // Kernels before 4.3 have no such set.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(cause) => return Err(refused("the ambient capabilities")(cause)),
    }
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none }).map_err(refused("the capabilities"))?;
    set_no_new_privs(true).map_err(refused("new privileges"))
}

/// Looks into /proc whether no thread has a capability or can get one by running a program; gives the number of threads.
///
/// # Errors
///
/// When one has, or /proc cannot be read.
pub fn verify() -> Result<usize, PrivilegeError> {
    let tasks = "/proc/self/task";
    let unknown = |path: &Path, cause| PrivilegeError::Unknown { path: path.display().to_string(), cause };
    let mut threads = 0;
    for entry in fs::read_dir(tasks).map_err(|cause| unknown(Path::new(tasks), cause))? {
        let path = entry.map_err(|cause| unknown(Path::new(tasks), cause))?.path().join("status");
        match fs::read_to_string(&path) {
            Ok(status) => verify_thread(&status)?,
            // One that has just ended does nothing any more.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound || cause.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => continue,
            Err(cause) => return Err(unknown(&path, cause)),
        }
        threads += 1;
    }
    Ok(threads)
}

/// Looks at the status of one thread, as proc_pid_status(5) describes it.
fn verify_thread(status: &str) -> Result<(), PrivilegeError> {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let kept = |line: String| {
        let thread = format!("{} ({})", field("Pid").unwrap_or("?"), field("Name").unwrap_or("?"));
        Err(PrivilegeError::Kept { thread, line })
    };
    for name in EMPTY {
        match field(name) {
            Some(set) if set.bytes().all(|digit| digit == b'0') => {}
            // Kernels before 4.3 have no such line.
            None if name == "CapAmb" => {}
            set => return kept(format!("{name}: {}", set.unwrap_or("no such line"))),
        }
    }
    match field("NoNewPrivs") {
        Some("1") => Ok(()),
        // Kernels before 4.10 do not tell.
        None => Ok(()),
        Some(other) => kept(format!("NoNewPrivs: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &str = "0000000000000000";

    fn status(sets: [&str; 4], no_new_privs: &str) -> String {
        let [inheritable, permitted, effective, ambient] = sets;
        format!(
            "Name:\tengine\nPid:\t42\nCapInh:\t{inheritable}\nCapPrm:\t{permitted}\nCapEff:\t{effective}\n\
             CapBnd:\t000001ffffffffff\nCapAmb:\t{ambient}\nNoNewPrivs:\t{no_new_privs}\n"
        )
    }

    #[test]
    fn a_thread_without_capabilities_passes_whatever_bounds_it() {
        assert!(verify_thread(&status([NONE; 4], "1")).is_ok());
    }

    #[test]
    fn each_set_that_is_not_empty_is_named_with_its_thread() {
        for (at, name) in EMPTY.into_iter().enumerate() {
            let mut sets = [NONE; 4];
            sets[at] = "0000000000002000";
            let told = verify_thread(&status(sets, "1")).expect_err("CAP_NET_RAW is left").to_string();
            assert_eq!(told, format!("thread 42 (engine) still has {name}: 0000000000002000"));
        }
    }

    #[test]
    fn a_thread_that_could_get_privileges_by_running_a_program_is_refused() {
        let told = verify_thread(&status([NONE; 4], "0")).expect_err("new privileges").to_string();
        assert!(told.contains("NoNewPrivs: 0"), "{told}");
    }

    #[test]
    fn a_status_that_does_not_tell_is_no_proof() {
        assert!(verify_thread("Name:\tengine\nPid:\t42\n").is_err());
    }
}
