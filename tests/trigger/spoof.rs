//! Refused connects by processes that seem to be what they are not.
#![expect(
    unsafe_code,
    reason = "ids and threads are changed below what the standard library knows of"
)]

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
        unix::{
            fs::{MetadataExt as _, symlink},
            process::CommandExt as _,
        },
    },
    path::{Path, PathBuf},
    process::Command,
};

use rustix::{
    fs::MemfdFlags,
    io::{Errno, FdFlags},
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, UnmountFlags,
        fsconfig_create, fsmount, fsopen, mount, mount_bind, mount_change, unmount,
    },
    thread::UnshareFlags,
};

use crate::{
    Lacks, Result, fact, in_folder, raw, succeed, traffic,
    ways::{fails, local, tcp},
};

/// The name that all of them take.
const KUBELET: &str = "kubelet";
/// A user who may do nothing.
pub(crate) const NOBODY: u32 = 65_534;

fn own() -> io::Result<PathBuf> {
    std::env::current_exe()
}

pub(crate) fn refused(port: u16) -> Result {
    traffic::refused(([127, 0, 0, 1], port))
}

/// The inode of a namespace that the process is in.
pub(crate) fn namespace(kind: &str) -> io::Result<u64> {
    Ok(fs::metadata(format!("/proc/self/ns/{kind}"))?.ino())
}

/// What the executable truly is.
pub(crate) fn tell(path: &Path) -> Result {
    let about = fs::metadata(path)?;
    tell_file(path.to_str().ok_or("the path is no UTF-8")?, &about);
    Ok(())
}

fn tell_file(path: &str, about: &fs::Metadata) {
    let device = about.dev();
    fact("path", path);
    fact("inode", about.ino());
    let (major, minor) = (libc::major(device), libc::minor(device));
    fact("device", major << 20 | minor);
}

/// A refused connect by this executable, which is told.
fn run(path: &Path, port: u16) -> Result {
    run_as(path, "refused", port)
}

fn run_as(path: &Path, scenario: &str, port: u16) -> Result {
    tell(path)?;
    succeed(Command::new(path).args([scenario, &port.to_string()]))
}

/// A copy of this program at that path.
fn copy_to(path: &Path) -> Result {
    fs::copy(own()?, path)?;
    Ok(())
}

/// `prctl(PR_SET_NAME)`.
pub(crate) fn named(port: u16) -> Result {
    tell(&own()?)?;
    rustix::thread::set_name(c"kubelet")?;
    refused(port)
}

pub(crate) fn argv0(port: u16) -> Result {
    tell(&own()?)?;
    let mut command = Command::new(own()?);
    succeed(
        command
            .arg0("/usr/bin/kubelet")
            .args(["refused", &port.to_string()]),
    )
}

pub(crate) fn copied(port: u16) -> Result {
    in_folder(|folder| {
        copy_to(&folder.join(KUBELET))?;
        run(&folder.join(KUBELET), port)
    })
}

pub(crate) fn linked(port: u16) -> Result {
    in_folder(|folder| {
        let link = folder.join(KUBELET);
        symlink(own()?, &link)?;
        tell(&own()?)?;
        succeed(Command::new(link).args(["refused", &port.to_string()]))
    })
}

pub(crate) fn hard_linked(port: u16) -> Result {
    in_folder(|folder| {
        fs::hard_link(own()?, folder.join(KUBELET))?;
        run(&folder.join(KUBELET), port)
    })
}

/// A name that the kernel itself gives to what is deleted, for a file that is not.
pub(crate) fn older_named_deleted(port: u16) -> Result {
    in_folder(|folder| {
        let path = folder.join("kubelet (deleted)");
        copy_to(&path)?;
        run_as(&path, "older-listener", port)
    })
}

/// A file that is in no file system.
pub(crate) fn memfd(port: u16, scenario: &str) -> Result {
    let file = rustix::fs::memfd_create(KUBELET, MemfdFlags::empty())
        .map_err(|_errno| Lacks("memfd_create"))?;
    let mut file = File::from(file);
    io::copy(&mut File::open(own()?)?, &mut file)?;
    tell_file("/memfd:kubelet", &file.metadata()?);
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    succeed(Command::new(path).args([scenario, &port.to_string()]))
}

/// Its file is deleted, and another is put in the place.
pub(crate) fn replaced(port: u16) -> Result {
    in_folder(|folder| {
        let path = folder.join(KUBELET);
        copy_to(&path)?;
        tell(&path)?;
        succeed(Command::new(&path).args(["replaced-inner", &port.to_string()]))
    })
}

pub(crate) fn replaced_inner(port: u16) -> Result {
    let path = own()?;
    fs::remove_file(&path)?;
    fs::write(&path, "of somebody else")?;
    refused(port)
}

/// The name that was executed is removed, another name of the file stays.
pub(crate) fn unlinked(port: u16) -> Result {
    in_folder(|folder| {
        let path = folder.join(KUBELET);
        copy_to(&path)?;
        fs::hard_link(&path, folder.join("another"))?;
        tell(&path)?;
        succeed(Command::new(&path).args(["unlinked-inner", &port.to_string()]))
    })
}

pub(crate) fn unlinked_inner(port: u16) -> Result {
    fs::remove_file(own()?)?;
    refused(port)
}

/// A listener of a file as above.
pub(crate) fn older_unlinked(port: u16) -> Result {
    in_folder(|folder| {
        let path = folder.join(KUBELET);
        copy_to(&path)?;
        fs::hard_link(&path, folder.join("another"))?;
        tell(&path)?;
        let mut command = Command::new(&path);
        let mut child = command
            .args(["older-listener", &port.to_string()])
            .spawn()?;
        fact("client", child.id());
        fs::remove_file(&path)?;
        let status = child.wait()?;
        status
            .success()
            .then_some(())
            .ok_or_else(|| format!("it ended with {status}").into())
    })
}

/// Which layer of an overlay the executable is in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    Upper,
    Lower,
    /// Changed since it was in the lower layer.
    CopiedUp,
    /// Changed while it runs.
    Changing,
}

pub(crate) fn overlay(port: u16, layer: Layer) -> Result {
    in_folder(|folder| {
        own_mounts()?;
        mount("t", folder, "tmpfs", MountFlags::empty(), None)?;
        let scenario = match layer {
            Layer::Changing => "changed-layer-inner",
            _ => "refused",
        };
        let outcome = layered(folder, layer).and_then(|path| run_as(&path, scenario, port));
        unmount(folder, UnmountFlags::DETACH)?;
        outcome
    })
}

/// Makes the overlay in the folder, and the executable in that layer.
fn layered(folder: &Path, layer: Layer) -> Result<PathBuf> {
    for name in ["lower", "upper", "work", "merged"] {
        fs::create_dir(folder.join(name))?;
    }
    if layer != Layer::Upper {
        copy_to(&folder.join("lower").join(KUBELET))?;
    }
    let place = folder.display();
    let layers = format!("lowerdir={place}/lower,upperdir={place}/upper,workdir={place}/work\0");
    let layers = std::ffi::CStr::from_bytes_with_nul(layers.as_bytes())?;
    let merged = folder.join("merged");
    mount("o", &merged, "overlay", MountFlags::empty(), layers)
        .map_err(|_errno| Lacks("overlayfs"))?;
    let path = merged.join(KUBELET);
    match layer {
        Layer::Upper => copy_to(&path)?,
        Layer::Lower | Layer::Changing => {}
        Layer::CopiedUp => std::os::unix::fs::chown(&path, Some(NOBODY), None)?,
    }
    Ok(path)
}

/// Mounts of this process's own, that nobody else sees.
fn own_mounts() -> Result {
    raw::unshare(UnshareFlags::NEWNS, "mount namespaces")?;
    let kind = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    Ok(mount_change("/", kind)?)
}

/// The program in place of another, for those who share its mounts.
pub(crate) fn bind_mounted(port: u16) -> Result {
    in_folder(|folder| {
        let (real, seeming) = (folder.join("real"), folder.join(KUBELET));
        copy_to(&real)?;
        fs::write(&seeming, "of somebody else")?;
        own_mounts()?;
        mount_bind(&real, &seeming)?;
        let outcome = run(&seeming, port);
        unmount(&seeming, UnmountFlags::DETACH)?;
        outcome
    })
}

/// The path that a file has in a mount that no namespace has: as of a well-known file.
const WELL_KNOWN: &str = "usr/bin/kubelet";

/// A copy of this program as if below the root of this mount.
fn copy_below(mounted: &Path) -> Result<PathBuf> {
    let path = mounted.join(WELL_KNOWN);
    fs::create_dir_all(path.parent().ok_or("the path has a folder")?)?;
    copy_to(&path)?;
    let about = fs::metadata(&path)?;
    tell_file(&format!(".../{WELL_KNOWN}"), &about);
    Ok(path)
}

/// The executable's mount is taken away below it.
pub(crate) fn unmounted(port: u16) -> Result {
    in_folder(|folder| {
        own_mounts()?;
        mount("t", folder, "tmpfs", MountFlags::empty(), None)?;
        let path = copy_below(folder)?;
        let outcome = succeed(Command::new(path).args(["unmounted-inner", &port.to_string()]));
        // The other has done so in the namespace that they share.
        let _already = unmount(folder, UnmountFlags::DETACH);
        outcome
    })
}

pub(crate) fn unmounted_inner(port: u16) -> Result {
    let path = own()?;
    let mounted = path.ancestors().nth(3).ok_or("the path is not as made")?;
    unmount(mounted, UnmountFlags::DETACH)?;
    refused(port)
}

/// The executable is in a file system that was never mounted at a path.
pub(crate) fn never_mounted(port: u16) -> Result {
    let lacks = |_errno| Lacks("fsmount");
    let context = fsopen("tmpfs", FsOpenFlags::empty()).map_err(lacks)?;
    fsconfig_create(&context).map_err(lacks)?;
    let (flags, attributes) = (FsMountFlags::empty(), MountAttrFlags::empty());
    let mounted = fsmount(&context, flags, attributes).map_err(lacks)?;
    let place = format!("/proc/self/fd/{}", mounted.as_raw_fd());
    let path = copy_below(Path::new(&place))?;
    succeed(Command::new(path).args(["refused", &port.to_string()]))
}

/// More folders than a path is followed through.
pub(crate) fn deep(port: u16) -> Result {
    in_folder(|folder| {
        let mut inside = folder.to_owned();
        inside.extend(std::iter::repeat_n("usr", 40));
        fs::create_dir_all(&inside)?;
        let path = inside.join(KUBELET);
        copy_to(&path)?;
        let seen = format!("...{}/{KUBELET}", "/usr".repeat(31));
        tell_file(&seen, &fs::metadata(&path)?);
        succeed(Command::new(path).args(["refused", &port.to_string()]))
    })
}

/// The first process of its own pid namespace.
pub(crate) fn pid_namespace(port: u16) -> Result {
    tell(&own()?)?;
    raw::unshare(UnshareFlags::NEWPID, "pid namespaces")?;
    succeed(Command::new(own()?).args(["refused", &port.to_string()]))
}

/// The path begins at the process's root, which is not the host's.
pub(crate) fn chrooted(port: u16) -> Result {
    in_folder(|folder| {
        own_mounts()?;
        let mut mounted = Vec::new();
        for name in ["lib", "lib64", "usr", "proc"] {
            let (from, to) = (Path::new("/").join(name), folder.join(name));
            match fs::symlink_metadata(&from) {
                Ok(about) if about.is_symlink() => symlink(fs::read_link(&from)?, &to)?,
                Ok(_) => {
                    fs::create_dir(&to)?;
                    mount_bind(&from, &to)?;
                    mounted.push(to);
                }
                Err(_absent) => {}
            }
        }
        let path = folder.join(KUBELET);
        copy_to(&path)?;
        tell(&path)?;
        let outcome = raw::forked(|| {
            rustix::process::chroot(folder)?;
            std::env::set_current_dir("/")?;
            fact("client", std::process::id());
            let mut command = Command::new("/kubelet");
            Err(command.args(["refused", &port.to_string()]).exec().into())
        });
        // What stays mounted would be removed with the folder.
        for mounted in mounted {
            unmount(mounted, UnmountFlags::DETACH)?;
        }
        outcome
    })
}

/// Root of a user namespace, nobody outside.
pub(crate) fn user_namespace(port: u16) -> Result {
    tell(&own()?)?;
    // SAFETY: the process has one thread, and the calls take numbers alone.
    let outcome = unsafe {
        libc::setgid(NOBODY) | libc::setuid(NOBODY) | libc::prctl(libc::PR_SET_DUMPABLE, 1)
    };
    if outcome != 0 {
        return Err(io::Error::last_os_error().into());
    }
    raw::unshare(UnshareFlags::NEWUSER, "user namespaces")?;
    fs::write("/proc/self/uid_map", format!("0 {NOBODY} 1"))?;
    if rustix::process::getuid().as_raw() != 0 {
        return Err("the user is not root inside".into());
    }
    fact("user_ns", namespace("user")?);
    refused(port)
}

/// Between socket and connect the process becomes another program.
pub(crate) fn exec_between(port: u16) -> Result {
    in_folder(|folder| {
        let path = folder.join(KUBELET);
        copy_to(&path)?;
        tell(&path)?;
        raw::forked(|| {
            fact("client", std::process::id());
            let socket = tcp(local(port))?;
            rustix::io::fcntl_setfd(&socket, FdFlags::empty())?;
            let number = socket.as_raw_fd().to_string();
            let mut command = Command::new(&path);
            let error = command.args(["inherited", &port.to_string(), &number]);
            Err(error.exec().into())
        })
    })
}

/// Connects the socket with this number.
pub(crate) fn inherited(port: u16, number: u32) -> Result {
    // SAFETY: the program that became this one left the descriptor to it alone.
    let socket = unsafe { OwnedFd::from_raw_fd(RawFd::try_from(number)?) };
    fails(&socket, local(port), Errno::CONNREFUSED)
}

/// The thread that the process began with is gone when another connects.
pub(crate) fn without_leader(port: u16) -> Result {
    tell(&own()?)?;
    fact("mnt_ns", namespace("mnt")?);
    leave(move || refused(port))
}

/// As above, and what connects is its child.
pub(crate) fn parent_without_leader(port: u16) -> Result {
    let path = own()?;
    leave(move || run(&path, port))
}

/// The calling thread ends, another does the work and then ends the process.
fn leave(work: impl FnOnce() -> Result + Send + 'static) -> Result {
    std::thread::spawn(move || {
        let state = || fs::read_to_string("/proc/self/stat");
        while !state().is_ok_and(|text| text.contains(") Z ")) {
            std::thread::yield_now();
        }
        raw::end(work());
    });
    // SAFETY: the thread ends here; what it had on its stack is not used by the other.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    Err("the thread did not end".into())
}
