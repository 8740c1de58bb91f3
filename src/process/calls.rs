//! Which system calls the process cannot make: a seccomp filter that refuses what a passive listener never needs.
//!
//! A list of what is refused and not of what is allowed: the C library, SQLite and the operator's own commands use what they like of the
//! rest, and a new version of them breaks nothing. The unit allows by a list of systemd's on top of it.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};

/// Refused with EPERM: looking into other processes, changing the kernel, its clock, its mounts or its keys, other namespaces, and interfaces
/// whose errors are kernel holes more often than others.
const REFUSED: [c_long; 52] = [
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    libc::SYS_open_by_handle_at,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_quotactl,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_personality,
    libc::SYS_nfsservctl,
    libc::SYS_mknodat,
];

/// What only one kind of processor has.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: [c_long; 6] =
    [libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt, libc::SYS_uselib, libc::SYS__sysctl, libc::SYS_mknod];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: [c_long; 0] = [];

/// Refuses, in this thread and all that it starts, the calls of the list, and namespaces of one's own.
///
/// # Errors
///
/// When the kernel or the processor has no such filters.
pub fn refuse() -> Result<usize, Error> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let mut refused: BTreeMap<_, _> = REFUSED.iter().chain(&REFUSED_HERE).map(|call| (*call, Vec::new())).collect();
    let count = refused.len();
    refused.insert(libc::SYS_clone, namespaces()?);
    apply_filter(&program(refused, libc::EPERM, arch)?)?;
    // Its flags are out of a filter's sight. The C library takes clone(2) where there is no clone3.
    apply_filter(&program(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS, arch)?)?;
    Ok(count)
}

/// clone(2) with any flag that makes a namespace.
fn namespaces() -> Result<Vec<SeccompRule>, BackendError> {
    let flags = [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
    ];
    let rule = |flag: libc::c_int| {
        let flag = u64::from(flag.cast_unsigned());
        SeccompRule::new(vec![SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag)?])
    };
    flags.into_iter().map(rule).collect()
}

fn program(refused: BTreeMap<c_long, Vec<SeccompRule>>, error: libc::c_int, arch: TargetArch) -> Result<BpfProgram, BackendError> {
    SeccompFilter::new(refused, SeccompAction::Allow, SeccompAction::Errno(error.cast_unsigned()), arch)?.try_into()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd as _;
    use std::thread;

    use rustix::io::Errno;
    use rustix::system::{sethostname, uname};
    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space, set_no_new_privs};

    use super::*;

    /// A thread of its own, since what is refused once stays so.
    fn refusing<T: Send>(work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                set_no_new_privs(true).expect("every kernel has it");
                assert_eq!(refuse().expect("seccomp"), REFUSED.len() + REFUSED_HERE.len());
                work()
            });
            worker.join().expect("the work")
        })
    }

    #[test]
    fn what_is_on_the_list_is_refused() {
        refusing(|| {
            let own = File::open("/proc/self/ns/net").expect("every process has one");
            assert_eq!(move_into_link_name_space(own.as_fd(), Some(LinkNameSpaceType::Network)), Err(Errno::PERM));
            assert_eq!(sethostname(uname().nodename().to_bytes()), Err(Errno::PERM));
        });
    }

    #[test]
    fn threads_programs_and_files_go_on_as_before() {
        refusing(|| {
            assert_eq!(thread::spawn(|| 42).join().expect("a thread"), 42);
            let ran = std::process::Command::new("/bin/sh").args(["-c", "ls / | wc -l"]).output().expect("a program runs");
            assert!(ran.status.success(), "{ran:?}");
            let file = tempfile::NamedTempFile::new().expect("a file");
            std::fs::rename(file.path(), file.path().with_extension("new")).expect("renamed");
            std::fs::remove_file(file.path().with_extension("new")).expect("removed");
        });
    }
}
