//! The kernel members that the probes read. User space resolves each row from the running
//! kernel's BTF and passes the offsets, in this order, as the frozen global `OFFSETS`.

/// A member of a kernel struct; `path` may descend through embedded structs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    pub structure: &'static str,
    /// Spellings of different kernels, the first that is found counts.
    pub paths: &'static [&'static str],
    /// What the row holds when no spelling is found; `None` makes that an error.
    pub fallback: Option<u32>,
}

/// An offset that no kernel has: the probe leaves the value out.
pub const ABSENT: u32 = u32::MAX;

macro_rules! members {
    ($($name:ident: $structure:literal, [$($path:literal),+] $(, else $fallback:expr)?;)+) => {
        #[expect(non_camel_case_types, reason = "the rows are constants, the enum only counts them")]
        #[repr(usize)]
        #[derive(Clone, Copy)]
        enum Index { $($name),+ }
        $(pub const $name: usize = Index::$name as usize;)+
        pub const MEMBERS: &[Member] = &[$(Member {
            structure: $structure,
            paths: &[$($path),+],
            fallback: members!(@fallback $($fallback)?),
        }),+];
    };
    (@fallback) => { None };
    (@fallback $fallback:expr) => { Some($fallback) };
}

members! {
    SOCK_FAMILY: "sock", ["__sk_common.skc_family"];
    SOCK_NUM: "sock", ["__sk_common.skc_num"];
    SOCK_DPORT: "sock", ["__sk_common.skc_dport"];
    SOCK_RCV_SADDR: "sock", ["__sk_common.skc_rcv_saddr"];
    SOCK_DADDR: "sock", ["__sk_common.skc_daddr"];
    SOCK_V6_RCV_SADDR: "sock", ["__sk_common.skc_v6_rcv_saddr"];
    SOCK_V6_DADDR: "sock", ["__sk_common.skc_v6_daddr"];
    SOCK_STATE: "sock", ["__sk_common.skc_state"];
    SOCK_NET: "sock", ["__sk_common.skc_net"];
    SOCK_PROTOCOL: "sock", ["sk_protocol"];
    SOCK_ERR: "sock", ["sk_err"];
    SOCK_SOCKET: "sock", ["sk_socket"];
    INET_SPORT: "inet_sock", ["inet_sport"];
    SOCKET_SK: "socket", ["sk"];
    SOCKET_FILE: "socket", ["file"];
    NET_INUM: "net", ["ns.inum"];
    TASK_TGID: "task_struct", ["tgid"];
    TASK_PID: "task_struct", ["pid"];
    TASK_COMM: "task_struct", ["comm"];
    TASK_LEADER: "task_struct", ["group_leader"];
    TASK_PARENT: "task_struct", ["real_parent"];
    TASK_START: "task_struct", ["start_boottime", "real_start_time"];
    TASK_EXECS: "task_struct", ["self_exec_id"];
    TASK_CRED: "task_struct", ["cred"];
    TASK_REAL_CRED: "task_struct", ["real_cred"];
    TASK_MM: "task_struct", ["mm"];
    TASK_FS: "task_struct", ["fs"];
    TASK_FILES: "task_struct", ["files"];
    TASK_NSPROXY: "task_struct", ["nsproxy"];
    TASK_CGROUPS: "task_struct", ["cgroups"];
    TASK_SIGNAL: "task_struct", ["signal"];
    TASK_THREAD_PID: "task_struct", ["thread_pid"];
    TASK_LOGIN_UID: "task_struct", ["loginuid"], else ABSENT;
    SIGNAL_PIDS: "signal_struct", ["pids"];
    SIGNAL_TTY: "signal_struct", ["tty"];
    TTY_DRIVER: "tty_struct", ["driver"];
    TTY_INDEX: "tty_struct", ["index"];
    TTY_DRIVER_MAJOR: "tty_driver", ["major"];
    TTY_DRIVER_MINOR: "tty_driver", ["minor_start"];
    PID_LEVEL: "pid", ["level"];
    PID_NUMBERS: "pid", ["numbers"];
    UPID_NS: "upid", ["ns"];
    PID_NS_INUM: "pid_namespace", ["ns.inum"];
    CRED_UID: "cred", ["uid"];
    CRED_GID: "cred", ["gid"];
    CRED_EUID: "cred", ["euid"];
    CRED_CAP_EFFECTIVE: "cred", ["cap_effective"];
    CRED_USER_NS: "cred", ["user_ns"];
    USER_NS_INUM: "user_namespace", ["ns.inum"];
    NSPROXY_MNT: "nsproxy", ["mnt_ns"];
    NSPROXY_NET: "nsproxy", ["net_ns"];
    MNT_NS_INUM: "mnt_namespace", ["ns.inum"];
    MM_EXE_FILE: "mm_struct", ["exe_file"];
    MM_ARG_START: "mm_struct", ["arg_start"];
    MM_ARG_END: "mm_struct", ["arg_end"];
    FILE_MNT: "file", ["f_path.mnt"];
    FILE_DENTRY: "file", ["f_path.dentry"];
    FILE_INODE: "file", ["f_inode"];
    FILE_CRED: "file", ["f_cred"];
    FILE_PRIVATE: "file", ["private_data"];
    FILES_FDT: "files_struct", ["fdt"];
    FDT_FD: "fdtable", ["fd"];
    FS_PWD_MNT: "fs_struct", ["pwd.mnt"];
    FS_PWD_DENTRY: "fs_struct", ["pwd.dentry"];
    INODE_INO: "inode", ["i_ino"];
    INODE_SB: "inode", ["i_sb"];
    INODE_NLINK: "inode", ["i_nlink"];
    SB_DEV: "super_block", ["s_dev"];
    SB_MAGIC: "super_block", ["s_magic"];
    DENTRY_PARENT: "dentry", ["d_parent"];
    DENTRY_NAME: "dentry", ["d_name.name"];
    DENTRY_HASHED: "dentry", ["d_hash.pprev"];
    MOUNT_MNT: "mount", ["mnt"];
    MOUNT_PARENT: "mount", ["mnt_parent"];
    MOUNT_MOUNTPOINT: "mount", ["mnt_mountpoint"];
    MOUNT_NS: "mount", ["mnt_ns"];
    VFSMOUNT_ROOT: "vfsmount", ["mnt_root"];
    CSS_SET_DFL: "css_set", ["dfl_cgrp"];
    CSS_SET_SUBSYS: "css_set", ["subsys"];
    CSS_CGROUP: "cgroup_subsys_state", ["cgroup"];
    CGROUP_KN: "cgroup", ["kn"];
    CGROUP_LEVEL: "cgroup", ["level"];
    KN_PARENT: "kernfs_node", ["__parent", "parent"];
    KN_NAME: "kernfs_node", ["name"];
    KN_ID: "kernfs_node", ["id"];
}

/// Sizes of kernel structs and values of kernel enumerators, after the members.
pub const SIZE_UPID: usize = MEMBERS.len();
pub const SIZE_INODE: usize = MEMBERS.len() + 1;
/// Index of the pids controller in `css_set.subsys`, for the process's cgroup of version 1.
pub const PIDS_CGRP_ID: usize = MEMBERS.len() + 2;
pub const COUNT: usize = MEMBERS.len() + 3;
