//! One boot: an initramfs with busybox, the programs and a script, and what came of it.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{kernel::Kernel, modules};

/// Seconds; each test program has a limit of its own.
const LIMIT: &str = "4800";
const MEMORY_MIB: &str = "2048";
/// Of a kernel that a probe has harmed, on its console.
const COMPLAINTS: [&str; 4] = ["BUG: ", "Oops", "WARNING: ", "Kernel panic"];
/// On the console, before the number.
const STATUS: &str = "GUEST-STATUS=";

const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin HOME=/root KUBELET_DETECTOR_GUEST=1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm
for one in tmpfs:/dev/shm tracefs:/sys/kernel/tracing bpf:/sys/fs/bpf cgroup2:/sys/fs/cgroup
do mount -t ${one%%:*} none ${one#*:}; done
# The programs may be there, at the paths that they have outside.
ls /tmp/* >/dev/null 2>&1 || mount -t tmpfs none /tmp
ip link set lo up
ulimit -l unlimited
for one in $(cat /modules/order)
do insmod /modules/$one || echo "insmod: WARNING: $one is refused"; done
stty -F /dev/ttyS0 raw -echo
sh /script </dev/null >/dev/ttyS0 2>&1
echo "GUEST-STATUS=$?"
poweroff -f
"#;

pub(super) struct Guest {
    folder: PathBuf,
    image: PathBuf,
}

pub(super) struct Outcome {
    /// Of the script; `None` if the guest died or the time ran out.
    pub(super) status: Option<i32>,
    pub(super) output: String,
    /// The end of the kernel's console.
    pub(super) console: String,
    /// What the kernel complained of first, if anything.
    pub(super) complaint: Option<String>,
    pub(super) took: Duration,
}

impl Guest {
    pub(super) fn new(kernel: &Kernel, files: &BTreeSet<PathBuf>, script: &str) -> Result<Self> {
        let folder = format!("target/vm/guest-{}", kernel.label);
        let folder = std::env::current_dir()?.join(folder);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let root = folder.join("root");
        for part in ["bin", "proc", "sys", "dev", "tmp", "etc", "root"] {
            fs::create_dir_all(root.join(part))?;
        }
        symlink("bin", root.join("sbin"))?;
        let put = |path: &Path, from: &Path| -> Result<()> {
            let to = root.join(path.strip_prefix("/").unwrap_or(path));
            fs::create_dir_all(to.parent().context("a file has a folder")?)?;
            fs::copy(from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
            // Most of a test program is what a debugger wants, and the guest's memory is small.
            drop(
                Command::new("strip")
                    .arg(&to)
                    .stderr(Stdio::null())
                    .status(),
            );
            Ok(())
        };
        put(Path::new("/bin/busybox"), &kernel.busybox)?;
        for file in files {
            put(file, file)?;
        }
        modules::put(&kernel.folder, &root.join("modules"))?;
        fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
        fs::write(root.join("etc/group"), "root:x:0:\n")?;
        fs::write(root.join("script"), script)?;
        fs::write(root.join("init"), INIT)?;
        fs::set_permissions(root.join("init"), fs::Permissions::from_mode(0o755))?;
        let guest = Self {
            folder,
            image: kernel.image.clone(),
        };
        guest.pack(&root, &kernel.busybox)?;
        Ok(guest)
    }

    fn pack(&self, root: &Path, busybox: &Path) -> Result<()> {
        let listed = Command::new("find").arg(".").current_dir(root).output()?;
        let archive = fs::File::create(self.folder.join("initrd"))?;
        let mut child = Command::new(busybox)
            .args(["cpio", "-o", "-H", "newc"])
            .current_dir(root)
            .stdin(Stdio::piped())
            .stdout(archive)
            .stderr(Stdio::null())
            .spawn()?;
        let mut names = child.stdin.take().context("stdin is not piped")?;
        names.write_all(&listed.stdout)?;
        drop(names);
        if !child.wait()?.success() {
            bail!("cannot pack the guest");
        }
        Ok(())
    }

    /// `more` are further arguments of QEMU.
    pub(super) fn boot(&self, more: &[&str]) -> Result<Outcome> {
        let begin = Instant::now();
        let console = self.folder.join("console");
        let output = self.folder.join("output");
        Command::new("timeout")
            .args([
                "-k",
                "5",
                LIMIT,
                "qemu-system-x86_64",
                "-accel",
                "tcg",
                "-cpu",
                "max",
            ])
            .args([
                "-smp",
                "2",
                "-m",
                MEMORY_MIB,
                "-nodefaults",
                "-no-user-config",
            ])
            .args(["-display", "none", "-no-reboot"])
            .args(more)
            .arg("-serial")
            .arg(format!("file:{}", output.display()))
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .arg("-kernel")
            .arg(&self.image)
            .arg("-initrd")
            .arg(self.folder.join("initrd"))
            .args(["-append", "console=ttyS1 loglevel=4 panic=-1"])
            .stdin(Stdio::null())
            .status()
            .context("cannot start qemu")?;
        let output = fs::read(&output).unwrap_or_default();
        let console = fs::read(&console).unwrap_or_default();
        let console = String::from_utf8_lossy(&console).into_owned();
        let status = console.lines().rev().find_map(|line| {
            let number = line.trim().strip_prefix(STATUS)?;
            number.parse().ok()
        });
        let complains = |line: &&str| COMPLAINTS.iter().any(|one| line.contains(one));
        let complaint = console.lines().find(complains).map(str::to_owned);
        let last: Vec<&str> = console.lines().rev().take(200).collect();
        let console = last.into_iter().rev().collect::<Vec<_>>().join("\n");
        Ok(Outcome {
            status,
            output: String::from_utf8_lossy(&output).into_owned(),
            console,
            complaint,
            took: begin.elapsed(),
        })
    }
}
