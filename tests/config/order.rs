//! What decides over what: file, drop-ins, environment, `--set`, the options of their own.

use std::{fs, path::Path};

use detector::config::{self, Loaded, Origins};
use serde_json::Value;

use crate::{detector, report, text, valid, written};

/// The settings that are shown, as data.
fn shown(loaded: &Loaded) -> String {
    let told = report(loaded);
    loaded.show().unwrap_or_else(|| panic!("{told}")).unwrap()
}

fn line<'s>(shown: &'s str, key: &str) -> &'s str {
    let key = format!("{key}:");
    shown
        .lines()
        .find(|line| line.trim().starts_with(&key))
        .unwrap()
}

#[test]
fn the_later_decides() {
    let main = written("hostname: file\npriority: notice\nresolve_names: true\n");
    let drop_ins = main.folder.path().join("config.d");
    fs::create_dir(&drop_ins).unwrap();
    fs::write(drop_ins.join("20.yaml"), "hostname: second\n").unwrap();
    fs::write(
        drop_ins.join("10.yml"),
        "hostname: first\nhost_root: /first\n",
    )
    .unwrap();
    fs::write(drop_ins.join("30.txt"), "hostname: none\n").unwrap();
    let mut origins = Origins {
        default: Some((main.file.clone(), drop_ins)),
        ..Origins::default()
    };
    let hostname = |origins: &Origins| {
        let loaded = config::load(origins);
        let shown = shown(&loaded);
        (
            valid(loaded).hostname.unwrap(),
            line(&shown, "hostname").to_owned(),
        )
    };
    let (name, shown_line) = hostname(&origins);
    assert_eq!(name, "second");
    assert!(shown_line.ends_with("config.d/20.yaml:1"), "{shown_line}");

    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    origins.environment = vec![
        set("NODE_NAME", "node"),
        set("KUBELET_DETECTOR__PRIORITY", "error"),
        set("KUBELET_DETECTOR_STATE", "/x"),
    ];
    assert_eq!(hostname(&origins).0, "second");
    origins
        .environment
        .push(set("KUBELET_DETECTOR__HOSTNAME", "environment"));
    let (name, shown_line) = hostname(&origins);
    assert_eq!(name, "environment");
    assert!(
        shown_line.ends_with("# KUBELET_DETECTOR__HOSTNAME:1"),
        "{shown_line}"
    );

    origins.settings = ["hostname=typed", "hostname=typed-later"]
        .map(str::to_owned)
        .to_vec();
    assert_eq!(hostname(&origins).0, "typed-later");
    let config = valid(config::load(&origins));
    assert_eq!(config.selection.least.as_str(), "Error");
    assert_eq!(config.host_root, Path::new("/first"));
    assert!(config.resolve_names);
    let names = config
        .files
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap());
    let names: Vec<&str> = names.collect();
    assert_eq!(names, ["config.yaml", "config.d", "10.yml", "20.yaml"]);

    // Drop-ins are those of the default file.
    origins.file = Some(main.file);
    origins.environment.clear();
    origins.settings.clear();
    assert_eq!(hostname(&origins).0, "file");
}

#[test]
fn what_other_agents_variables_say_is_a_default() {
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut origins = Origins {
        environment: vec![
            set("FALCO_HOSTNAME", "falco"),
            set("HOST_ROOT", "/host"),
            set("NODE_NAME", "node"),
        ],
        ..Origins::default()
    };
    let config = valid(config::load(&origins));
    assert_eq!(config.hostname.as_deref(), Some("falco"));
    assert_eq!(config.host_root, Path::new("/host"));
    let file = written("hostname: [yes, no]\nhost_root: /\n");
    origins.file = Some(file.file.clone());
    assert!(config::load(&origins).config.is_none());
    fs::write(&file.file, "hostname: file\nhost_root: /\n").unwrap();
    let config = valid(config::load(&origins));
    assert_eq!(config.hostname.as_deref(), Some("file"));
    assert_eq!(config.host_root, Path::new("/"));
}

/// Falco's three ways to merge, `append` by default; maps key by key in each.
#[test]
fn files_are_merged_as_they_are_asked_to_be() {
    let later = written(
        "hostname: later\nrules_files: [/b]\nspool: {fsync: always}\nresolve_names: true\n",
    );
    for (strategy, hostname, rules, fsync) in [
        ("", "later", vec!["/a", "/b"], "always"),
        (", strategy: append", "later", vec!["/a", "/b"], "always"),
        (", strategy: override", "later", vec!["/b"], "always"),
        (", strategy: add-only", "main", vec!["/a"], "never"),
    ] {
        let path = later.file.display();
        let main = written(&format!(
            "hostname: main\nrules_files: [/a]\nspool: {{path: /spool, fsync: never}}\n\
             config_files:\n  - {{path: {path}{strategy}}}\n"
        ));
        let loaded = crate::load(&main.file);
        assert!(line(&shown(&loaded), "fsync").contains(fsync), "{strategy}");
        let config = valid(loaded);
        assert_eq!(config.hostname.as_deref(), Some(hostname), "{strategy}");
        let rules: Vec<_> = rules.iter().map(Path::new).collect();
        assert_eq!(config.rules_files, rules, "{strategy}");
        assert_eq!(config.spool.path.as_deref(), Some(Path::new("/spool")));
        assert!(config.resolve_names);
    }
}

#[test]
fn settings_reach_every_place() {
    let base = "sinks:\n  - {name: a, http: {url: 'http://a'}}\n  - {name: b, stdout: {}}\n";
    let file = written(base);
    let with = |settings: &[&str]| {
        config::load(&Origins {
            file: Some(file.file.clone()),
            settings: settings.iter().map(|one| (*one).to_owned()).collect(),
            ..Origins::default()
        })
    };
    let config = valid(with(&[
        "sinks[0].http.url=https://c",
        "sinks[0].http.tls={ca: /ca}",
        "sinks[0].http.tls.key=/key",
        "sinks[0].http.bearer.file=/token",
        "sinks[]={name: d, stdout: {}}",
        "rules_files=/a",
        "rules_files=/b",
        "hostname=",
        "append_output[].extra_output=x",
        "rules=[{\"disable\":{\"rule\":\"*\"}}]",
    ]));
    let sinks = config.sinks();
    let names: Vec<&str> = sinks.iter().map(|sink| sink.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "d"]);
    let http = sinks[0].http.as_ref().unwrap();
    assert_eq!(http.url, "https://c");
    assert_eq!(http.request.tls.ca.as_deref(), Some(Path::new("/ca")));
    assert_eq!(http.request.tls.key.as_deref(), Some(Path::new("/key")));
    assert_eq!(config.rules_files, ["/a", "/b"].map(Path::new));
    assert_eq!(config.hostname.as_deref(), Some(""));
    assert_eq!(config.outputs.append[0].extra_output, "x");
    assert_eq!(config.selection.switches.len(), 1);

    for (setting, told) in [
        ("hostname", "there is no value"),
        ("=x", "this is no key"),
        ("sinks[x]=1", "this is no key"),
        ("sinks[7].name=x", "the list has 2 items, counted from 0"),
        ("sinks.name=x", "what is before this is a list"),
        ("hostname[]=x", "hostname[]"),
        ("config_files=[/x]", "is a key of the main file alone"),
        ("hostnam=x", "did you mean `hostname`?"),
        ("sinks[0].http.ulr=x", "did you mean `url`?"),
        ("spool={path: [}", "this is no YAML"),
    ] {
        let loaded = with(&[setting]);
        if setting == "hostname[]=x" {
            assert!(loaded.config.is_none());
            continue;
        }
        let told_of = report(&loaded);
        assert!(told_of.contains(told), "{setting}: {told_of}");
        assert!(told_of.contains("--> --set:1:"), "{told_of}");
    }
}

/// The real binary: the environment over the file, `--set` over it, an option over that.
#[test]
fn options_decide_over_all() {
    let file = written("json_output: true\nhostname: file\npriority: critical\n");
    let path = file.file.to_str().unwrap();
    let trace = "traces/ipv6.jsonl";
    let replay = |more: &[&str], environment: &[(&str, &str)]| {
        let output = detector(
            &[&["replay", trace, "-c", path], more].concat(),
            environment,
        );
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!(replay(&[], &[]), "");
    let notice = [("KUBELET_DETECTOR__PRIORITY", "notice")];
    let alerts = replay(&[], &notice);
    let alert: Value = serde_json::from_str(alerts.lines().next().unwrap()).unwrap();
    assert_eq!(alert["priority"], "Warning");
    assert_eq!(replay(&["--set", "priority=critical"], &notice), "");
    let lines = replay(&["--set", "json_output=true", "--format", "text"], &notice);
    assert!(
        !lines.starts_with('{') && lines.contains(": Warning "),
        "{lines}"
    );

    // From the environment, and not at all.
    let named = [("KUBELET_DETECTOR_CONFIG", path), notice[0]];
    let output = detector(&["replay", trace], &named);
    assert!(text(&output.stdout).starts_with('{'));
    let output = detector(&["replay", trace], &notice);
    assert!(!text(&output.stdout).starts_with('{'));
    let output = detector(&["replay", trace, "--config", "/no/such.yaml"], &[]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("/no/such.yaml"));
}

#[test]
fn rules_of_the_command_line_take_the_place_of_those_of_the_file() {
    let rule = |name: &str| {
        written(&format!(
            "- rule: {name}\n  desc: d\n  condition: fd.sport = 10250\n  output: o\n  priority: INFO\n"
        ))
    };
    let (one, two) = (rule("one"), rule("two"));
    let [first, second] = [&one, &two].map(|rule| rule.file.to_str().unwrap());
    let file = written(&format!(
        "rules_files: [{first}]\nrules: [{{disable: {{rule: one}}}}]\n"
    ));
    let path = file.file.to_str().unwrap();
    let list = |more: &[&str]| {
        let output = detector(&[&["rules", "list", "-c", path], more].concat(), &[]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let lines = text(&output.stdout);
        let names = lines.lines().map(|line| {
            let mut words = line.split_whitespace();
            format!("{} {}", words.next().unwrap(), words.last().unwrap())
        });
        names.collect::<Vec<String>>().join(", ")
    };
    let set = format!("rules_files={first}");
    assert_eq!(list(&[]), "disabled one");
    assert_eq!(list(&["--enable", "one"]), "active one");
    assert_eq!(list(&["-r", second]), "active two");
    assert_eq!(
        list(&["--set", &set, "-r", second]),
        "disabled one, active two"
    );
}
