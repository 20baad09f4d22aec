//! Fuzzes what reads foreign text and bytes: `cargo xtask fuzz rules --seconds 600`. The corpus
//! grows in `target/fuzz`, seeded from the rules and tests of this repository.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::setup;

const TARGETS: [&str; 3] = ["condition", "decode", "rules"];
const FOLDER: &str = "target/fuzz";
const DICTIONARY: &str = "fuzz/language.dict";
const FIELDS: &str = "docs/fields.md";
/// Bytes of an input: time that grows faster than its length shows in it, and a pass stays short.
const MAX_LENGTH: usize = 4096;
/// Seconds that one input may take.
const MAX_SECONDS: u32 = 5;
/// MiB.
const MAX_MEMORY: u32 = 2048;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// What to fuzz; all by default.
    #[arg(value_parser = TARGETS)]
    targets: Vec<String>,
    /// How long each.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(missing) = setup::cargo_fuzz() {
        println!("fuzz: skipped: {missing}");
        return Ok(());
    }
    let mut chosen: Vec<&str> = options.targets.iter().map(String::as_str).collect();
    if chosen.is_empty() {
        chosen.extend(TARGETS);
    }
    // Apart from the workspace, but of its versions.
    fs::copy("Cargo.lock", "fuzz/Cargo.lock").context("Cargo.lock")?;
    for target in chosen {
        fuzz(target, options.seconds)?;
    }
    Ok(())
}

fn fuzz(target: &str, seconds: u64) -> Result<()> {
    let corpus = Path::new(FOLDER).join("corpus").join(target);
    fs::create_dir_all(&corpus)?;
    seed(target, &corpus)?;
    let root = std::env::current_dir()?;
    let artifacts = root.join(FOLDER).join("artifacts").join(target);
    fs::create_dir_all(&artifacts)?;
    println!(
        "fuzz: {target} for {seconds} s, at most {MAX_LENGTH} bytes and {MAX_SECONDS} s an input"
    );
    let log = PathBuf::from(FOLDER).join(format!("{target}.log"));
    let output = fs::File::create(&log)?;
    let status = Command::new("cargo")
        // No unsafe code is fuzzed: a sanitizer would only make it slower. Its absence also lets a
        // stable compiler do it.
        .args([
            "fuzz",
            "run",
            "--sanitizer",
            "none",
            // One unit, its default, keeps a core idle for minutes while the other compiles.
            "--codegen-units",
            "16",
            "--target-dir",
            FOLDER,
            target,
        ])
        .arg(root.join(&corpus))
        .arg("--")
        .args([
            format!("-max_len={MAX_LENGTH}"),
            format!("-timeout={MAX_SECONDS}"),
            format!("-rss_limit_mb={MAX_MEMORY}"),
            format!("-max_total_time={seconds}"),
            format!("-dict={}", dictionary()?.display()),
            format!("-artifact_prefix={}/", artifacts.display()),
            "-print_final_stats=1".to_owned(),
        ])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("PATH", setup::path_with_tools()?)
        .stdout(Stdio::null())
        .stderr(output)
        .status()
        .context("cannot start cargo")?;
    let told = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    if !status.success() {
        let lines: Vec<&str> = told.lines().collect();
        let tail = lines.len().saturating_sub(40);
        println!("{}", lines.get(tail..).unwrap_or_default().join("\n"));
        bail!(
            "fuzzing {target} ended with {status}; all of it: {}",
            log.display()
        );
    }
    println!("fuzz: {target}: {}", summary(&told));
    Ok(())
}

/// What libFuzzer says at its end.
fn summary(log: &str) -> String {
    let figure = |name: &str| {
        let line = log.lines().find_map(|line| line.strip_prefix(name));
        line.map_or("?", str::trim).to_owned()
    };
    let covered = log
        .lines()
        .rev()
        .find_map(|line| line.split(" cov: ").nth(1)?.split(' ').next())
        .unwrap_or("?");
    format!(
        "{} inputs, {} a second, {covered} edges covered, the slowest took {} s",
        figure("stat::number_of_executed_units:"),
        figure("stat::average_exec_per_sec:"),
        figure("stat::slowest_unit_time_sec:"),
    )
}

/// The words of the language, and every field.
fn dictionary() -> Result<PathBuf> {
    let mut words = fs::read_to_string(DICTIONARY).context(DICTIONARY)?;
    let fields = fs::read_to_string(FIELDS).context(FIELDS)?;
    for line in fields.lines() {
        let name = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split(['`', '[']).next());
        if let Some(name) = name {
            words.push_str(&format!("\"{name}\"\n"));
        }
    }
    let path = std::env::current_dir()?.join(FOLDER).join("language.dict");
    fs::write(&path, words)?;
    Ok(path)
}

/// Rule files as they are; of conditions, those that stand in one line. Records are made up.
fn seed(target: &str, corpus: &Path) -> Result<()> {
    let mut seeds = Vec::new();
    for folder in ["rules", "tests/rules/invalid"] {
        for entry in fs::read_dir(folder).context(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == "yaml") {
                seeds.push(fs::read_to_string(&path)?);
            }
        }
    }
    if target == "condition" {
        let written = seeds.iter().flat_map(|seed| seed.lines());
        let mut conditions: Vec<String> = written
            .filter_map(|line| line.trim().strip_prefix("condition: "))
            .map(str::to_owned)
            .collect();
        for table in ["events", "language", "operators"] {
            let path = format!("tests/rules/table/{table}.rs");
            let rows = fs::read_to_string(&path).context(path)?;
            conditions.extend(rows.lines().filter_map(literal));
        }
        seeds = conditions;
    }
    if target == "decode" {
        return Ok(());
    }
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(corpus.join(format!("seed-{number:03}")), seed)?;
    }
    Ok(())
}

/// The condition of a table's row, if it begins on this line.
fn literal(line: &str) -> Option<String> {
    let row = line.trim().trim_start_matches('(');
    if let Some(raw) = row.strip_prefix("r#\"") {
        return raw.rsplit_once("\"#").map(|(text, _)| text.to_owned());
    }
    let (text, _) = row.strip_prefix('"')?.rsplit_once('"')?;
    Some(text.replace("\\\"", "\"").replace("\\\\", "\\"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_tables_are_seeds() {
        for (line, expected) in [
            (r#"("a = \"b\"", TRUE),"#, Some("a = \"b\"")),
            ("(r#\"a = \"b\"\"#, WRONG),", Some("a = \"b\"")),
            (r#"                "a = b","#, Some("a = b")),
            ("rows: &[", None),
        ] {
            assert_eq!(literal(line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn the_figures_are_those_of_the_end() {
        let log = "#1 INITED cov: 10 ft: 3\n#9 NEW    cov: 12 ft: 4\nDone 9 runs in 2 second(s)\n\
                   stat::number_of_executed_units: 9\nstat::average_exec_per_sec:     4\n\
                   stat::slowest_unit_time_sec:    0\n";
        assert_eq!(
            summary(log),
            "9 inputs, 4 a second, 12 edges covered, the slowest took 0 s"
        );
    }
}
