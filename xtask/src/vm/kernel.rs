//! Debian's kernels: downloaded by an apt of their own, which checks the archive's signatures, and
//! kept under `target/vm`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

const CACHE: &str = "target/vm";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const SOURCES: [&str; 2] = [
    "/etc/apt/sources.list.d/debian.sources",
    "/etc/apt/sources.list",
];

pub(super) struct Kernel {
    /// As `5.10`.
    pub(super) label: String,
    /// What its packages hold.
    pub(super) folder: PathBuf,
    pub(super) image: PathBuf,
    pub(super) busybox: PathBuf,
    /// File names of the packages that it came in.
    pub(super) packages: Vec<String>,
}

impl Kernel {
    /// Downloads what is not there yet.
    pub(super) fn cached(label: &str) -> Result<Self> {
        let cache = std::env::current_dir()?.join(CACHE);
        fs::create_dir_all(&cache)?;
        let busybox = cache.join("busybox");
        if !busybox.join("packages").exists() {
            let apt = Apt::new(&cache, &["bookworm"])?;
            apt.unpack(&["busybox-static".to_owned()], &busybox)?;
        }
        let folder = cache.join(label);
        if !folder.join("packages").exists() {
            let apt = Apt::new(&cache, suites(label))?;
            let packages = apt.kernel(label)?;
            apt.unpack(&packages, &folder)?;
        }
        let packages = fs::read_to_string(folder.join("packages"))?;
        Ok(Self {
            label: label.to_owned(),
            image: find(&folder, "*/vmlinuz*")?,
            busybox: find(&busybox, "*/bin/busybox")?,
            packages: packages.lines().map(str::to_owned).collect(),
            folder,
        })
    }
}

/// Where Debian keeps a kernel of that series; `-security` is an archive of its own.
fn suites(label: &str) -> &'static [&'static str] {
    match label {
        "5.10" => &["bullseye", "bullseye-security"],
        "6.1" => &["bookworm", "bookworm-security"],
        "6.12" => &["trixie", "trixie-security"],
        _ => &["sid", "trixie-backports"],
    }
}

/// The first file below `folder` whose path matches.
fn find(folder: &Path, pattern: &str) -> Result<PathBuf> {
    let output = Command::new("find")
        .arg(folder)
        .args(["-type", "f", "-path", pattern, "-print", "-quit"])
        .output()?;
    let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if path.is_empty() {
        bail!(
            "{} has no {pattern}: delete that folder and try again",
            folder.display()
        );
    }
    Ok(PathBuf::from(path))
}

/// An apt with sources and lists of its own: the system's stay as they are.
pub(crate) struct Apt {
    configuration: PathBuf,
    folder: PathBuf,
}

impl Apt {
    pub(crate) fn new(cache: &Path, suites: &[&str]) -> Result<Self> {
        let folder = cache.join("apt");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        for part in ["lists/partial", "cache/archives/partial", "download"] {
            fs::create_dir_all(folder.join(part))?;
        }
        let mirror = mirror()?;
        let mut sources = String::new();
        for suite in suites {
            let archive = if suite.ends_with("-security") {
                format!("{mirror}-security")
            } else {
                mirror.clone()
            };
            sources.push_str(&format!(
                "deb [arch=amd64 signed-by={KEYRING}] {archive} {suite} main\n"
            ));
        }
        fs::write(folder.join("sources.list"), sources)?;
        let at = folder.display();
        let configuration = folder.join("apt.conf");
        fs::write(
            &configuration,
            format!(
                "Dir::Etc::sourcelist \"{at}/sources.list\"; Dir::Etc::sourceparts \"-\";\n\
                 Dir::State::lists \"{at}/lists\"; Dir::State::status \"/dev/null\";\n\
                 Dir::Cache \"{at}/cache\"; APT::Sandbox::User \"root\";\n\
                 Acquire::Languages \"none\"; Acquire::Retries \"3\";\n\
                 #clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n"
            ),
        )?;
        let apt = Self {
            configuration,
            folder,
        };
        crate::run(apt.command("apt-get").args(["-qq", "update"]))?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", &self.configuration);
        command
    }

    fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let output = self
            .command("apt-cache")
            .args(["pkgnames", prefix])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// The newest cloud kernel of the series, and from 7.x on the packages that it was split into.
    fn kernel(&self, label: &str) -> Result<Vec<String>> {
        const IMAGE: &str = "linux-image-";
        const END: &str = "-cloud-amd64";
        let mut images = self.names(&format!("{IMAGE}{label}."))?;
        images.retain(|name| name.ends_with(END));
        images.sort_by_key(|name| numbers(name));
        let image = images
            .pop()
            .with_context(|| format!("no kernel {label} in Debian's archive"))?;
        let version = image.trim_start_matches(IMAGE).to_owned();
        let mut packages = vec![image];
        for part in ["linux-binary-", "linux-modules-"] {
            let name = format!("{part}{version}");
            if self.names(&name)?.contains(&name) {
                packages.push(name);
            }
        }
        Ok(packages)
    }

    /// The packages and all that they need, the C library too: this machine's are not looked at.
    pub(crate) fn with_dependencies(&self, packages: &[&str]) -> Result<Vec<String>> {
        let output = self
            .command("apt-get")
            .args(["install", "-s", "--no-install-recommends"])
            .args(packages)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines = text.lines().filter_map(|line| line.strip_prefix("Inst "));
        let names = lines.filter_map(|line| line.split_whitespace().next());
        let names: Vec<String> = names.map(str::to_owned).collect();
        if names.is_empty() {
            bail!("Debian's archive has no {}", packages.join(" or no "));
        }
        Ok(names)
    }

    /// Downloads and unpacks into `target`, all or nothing.
    pub(crate) fn unpack(&self, packages: &[String], target: &Path) -> Result<()> {
        let download = self.folder.join("download");
        crate::run(
            self.command("apt-get")
                .args(["-qq", "download"])
                .args(packages)
                .current_dir(&download),
        )?;
        let root = self.folder.join("root");
        let mut names = Vec::new();
        for entry in fs::read_dir(&download)? {
            let path = entry?.path();
            crate::run(Command::new("dpkg").arg("-x").arg(&path).arg(&root))?;
            names.extend(
                path.file_name()
                    .map(|name| name.to_string_lossy().into_owned()),
            );
        }
        names.sort();
        fs::write(root.join("packages"), names.join("\n"))?;
        if target.exists() {
            fs::remove_dir_all(target)?;
        }
        Ok(fs::rename(root, target)?)
    }
}

/// For an order by version.
fn numbers(name: &str) -> Vec<u32> {
    let parts = name.split(|next: char| !next.is_ascii_digit());
    parts.filter_map(|part| part.parse().ok()).collect()
}

/// Of the archive that this machine uses.
fn mirror() -> Result<String> {
    for file in SOURCES {
        let text = fs::read_to_string(file).unwrap_or_default();
        let mut words = text.split_whitespace();
        let found = words.find(|word| {
            word.starts_with("http") && word.trim_end_matches('/').ends_with("/debian")
        });
        if let Some(mirror) = found {
            return Ok(mirror.trim_end_matches('/').to_owned());
        }
    }
    bail!("apt's sources name no Debian archive: the kernels cannot be downloaded here");
}
