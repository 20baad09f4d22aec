//! What is read of a process beyond the kernel's record: asked for by rules, and what fields give for
//! it.

use std::collections::BTreeSet;

use detector::{
    event::{
        Account, Details, Environment, Event, Files, Image, Kind, Leader, Leaders, Part, Relative,
        Status, Stream,
    },
    rules::{Options, SourceFile, fields::Value, load_with},
};

use crate::{
    events::{event, unattributed},
    fields::{BOOT, check, host, with},
    rule, ruleset,
};

fn environment(variables: &[&str]) -> Environment {
    Environment {
        variables: variables.iter().map(|one| (*one).to_owned()).collect(),
        ..Environment::default()
    }
}

fn relative(path: &str, args: &[&str], variables: &[&str]) -> Relative {
    Relative {
        path: path.to_owned(),
        args: args.iter().map(|one| (*one).to_owned()).collect(),
        environment: Some(environment(variables)),
        ..Relative::default()
    }
}

fn leader(name: &str) -> Leader {
    Leader {
        comm: name.to_owned(),
        exe: format!("-{name}"),
        path: format!("/bin/{name}"),
    }
}

fn stream(kind: &str, name: &str) -> Option<Stream> {
    Some(Stream {
        kind: kind.to_owned(),
        name: name.to_owned(),
    })
}

/// The second ancestor was gone when it was looked at; `systemd` has no arguments.
fn details() -> Details {
    Details {
        account: Some(Account {
            home: Some("/home/ann".to_owned()),
            shell: Some(String::new()),
        }),
        ancestors: vec![
            Some(relative(
                "/usr/bin/bash",
                &["-bash", "-c", "x y"],
                &["A=", "B= of bash "],
            )),
            None,
            Some(relative("/lib/systemd/systemd", &["/sbin/init"], &["C=1"])),
        ],
        cgroups: Some(vec![
            ("cpu,cpuacct".to_owned(), "/old".to_owned()),
            (String::new(), "/unified".to_owned()),
        ]),
        environment: Some(environment(&["HOME=/root", "EMPTY=", "X=a=b"])),
        image: Some(Image {
            writable: true,
            overlay: true,
            changed_ns: BOOT - 5,
            modified_ns: 7,
        }),
        files: Some(Files {
            open: 5,
            limit: Some(40),
        }),
        leaders: Some(Leaders {
            session: Some(leader("screen")),
            group: None,
        }),
        parent_vpid: Some(1),
        status: Some(Status {
            threads: 3,
            vm_size_kib: 1000,
            vm_rss_kib: 500,
            vm_swap_kib: 0,
            permitted: 1 << 21,
            inheritable: 0,
            process_group: 5,
            ..Status::default()
        }),
        streams: Some([
            stream("ipv4", "10.0.0.5:4444->10.0.0.9:1"),
            stream("file", "/dev/null"),
            None,
        ]),
        threads: Some(vec![(42, 7), (43, 8)]),
    }
}

pub(crate) fn detailed() -> Event {
    with(|process| process.details = Some(Box::new(details())))
}

#[test]
fn details_of_the_process_have_values() {
    check(
        &detailed(),
        &[
            ("proc.env = \"HOME=/root EMPTY= X=a=b\"", true),
            ("proc.env[HOME] = /root", true),
            ("proc.env[X] = \"a=b\"", true),
            ("proc.env[EMPTY] = \"\"", true),
            ("proc.env[NOPE] = \"\" and proc.env[NOPE] exists", true),
            ("proc.env[HOM] = \"\"", true),
            ("proc.env[1] contains HOME", true),
            ("proc.env[HOME] startswith val(proc.cwd)", false),
            ("proc.nthreads = 3 and proc.nchilds = 2", true),
            (
                "proc.vmsize = 1000 and proc.vmrss = 500 and proc.vmswap = 0",
                true,
            ),
            (
                "thread.vmsize = 0 and thread.vmrss = 0 and thread.vmrss.b = 0",
                true,
            ),
            ("proc.fdopencount = 5 and proc.fdlimit = 40", true),
            ("proc.fdusage = 12.5", true),
            ("proc.fdusage > 12.4 and proc.fdusage < 12.6", true),
            ("proc.fdusage in (1, 12.5)", true),
            ("proc.fdusage = val(proc.fdusage)", true),
            ("proc.stdin.type = ipv4", true),
            ("proc.stdin.name endswith :1", true),
            (
                "proc.stdout.type = file and proc.stdout.name = /dev/null",
                true,
            ),
            ("proc.stderr.type exists or proc.stderr.name exists", false),
            ("proc.is_exe_writable = true", true),
            (
                "proc.is_exe_lower_layer = false and proc.is_exe_upper_layer = true",
                true,
            ),
            ("proc.exe_ino.ctime = 1699999989999999995", true),
            ("proc.exe_ino.mtime = 7", true),
            ("proc.exe_ino.ctime_duration_proc_start = 2000000005", true),
            ("thread.cap_permitted = CAP_SYS_ADMIN", true),
            ("thread.cap_inheritable = \"\"", true),
            (
                "thread.cgroup.cpu = /old and thread.cgroup.cpuacct = /old",
                true,
            ),
            ("thread.cgroup.memory = /unified", true),
            ("thread.cgroup.nosuch exists", false),
            ("thread.vtid = 8", true),
            ("proc.vpgid = 7", true),
            ("proc.is_vpgid_leader = true", true),
            ("proc.pvpid = 1", true),
            ("user.homedir = /home/ann", true),
            ("user.shell = \"\" and user.shell exists", true),
        ],
    );
}

#[test]
fn details_of_ancestors_and_leaders_have_values() {
    check(
        &detailed(),
        &[
            ("proc.pexe = -bash and proc.pexepath = /usr/bin/bash", true),
            ("proc.pcmdline = \"bash -c x y\"", true),
            ("proc.aexe[0] = curl and proc.aexe[1] = -bash", true),
            ("proc.aexepath[0] = /usr/bin/curl", true),
            ("proc.aexepath[3] = /lib/systemd/systemd", true),
            ("proc.aexepath[2] exists", false),
            ("not proc.aexepath[2] = /usr/sbin/sshd", true),
            ("proc.aexepath = /lib/systemd/systemd", true),
            ("proc.aexepath = /usr/bin/curl", false),
            ("proc.aexe in (a, /sbin/init)", true),
            ("proc.acmdline = systemd", true),
            ("proc.acmdline contains \"-c x\"", true),
            ("proc.acmdline[0] startswith \"curl -k\"", true),
            ("proc.acmdline exists", true),
            ("proc.aargs[1] = \"-c x y\"", true),
            ("proc.aargs[0] startswith -k", true),
            // One ancestor is not known.
            ("proc.aargs exists", false),
            ("proc.aenv contains \"C=1\"", true),
            // Any ancestor's, whatever the number.
            ("proc.aenv[1] contains \"C=1\"", true),
            ("proc.aenv contains HOME", false),
            // Empty with the parent, and of the next nobody knows.
            ("proc.aenv[A] exists", false),
            ("proc.aenv[B] = \"of bash\"", true),
            ("proc.sid.exe = /sbin/init", false),
            ("proc.sname = sshd", true),
            ("proc.sid.exepath = /bin/screen", true),
            ("proc.pgid.name = curl and proc.pgid.exe = curl", true),
            ("proc.pgid.exepath = /usr/bin/curl", true),
            (
                "proc.vpgid.name = curl and proc.vpgid.exepath = /usr/bin/curl",
                true,
            ),
        ],
    );
    let led = with(|process| {
        process.session = 77;
        process.process_group = 78;
        process.details = Some(Box::new(details()));
    });
    check(
        &led,
        &[
            ("proc.sname = screen and proc.sid.exe = -screen", true),
            ("proc.sid.exepath = /bin/screen", true),
            ("proc.pgid.name = \"\" and proc.pgid.exe = \"\"", true),
            ("proc.vpgid = 5 and proc.is_vpgid_leader = false", true),
        ],
    );
    let by_parent = with(|process| {
        process.session = 20;
        process.details = Some(Box::new(details()));
    });
    check(
        &by_parent,
        &[("proc.sid.exe = -bash and proc.sname = bash", true)],
    );
}

/// Not looked at, or gone when it was.
#[test]
fn what_was_not_read_is_missing() {
    let plain = event(Kind::ConnectAttempt);
    for field in [
        "proc.env",
        "proc.env[HOME]",
        "proc.aenv",
        "proc.aenv[A]",
        "proc.pexe",
        "proc.pexepath",
        "proc.pcmdline",
        "proc.aexe",
        "proc.aexepath",
        "proc.acmdline",
        "proc.aargs[1]",
        "proc.nthreads",
        "proc.nchilds",
        "proc.vmsize",
        "thread.vmsize",
        "proc.fdopencount",
        "proc.fdlimit",
        "proc.fdusage",
        "proc.stdin.type",
        "proc.stdin.name",
        "proc.is_exe_writable",
        "proc.is_exe_lower_layer",
        "proc.exe_ino.ctime",
        "proc.exe_ino.mtime",
        "proc.exe_ino.ctime_duration_proc_start",
        "thread.cap_permitted",
        "thread.cap_inheritable",
        "thread.cgroup.cpu",
        "thread.vtid",
        "proc.pvpid",
        "proc.sid.exe",
        "proc.sid.exepath",
        "user.homedir",
        "user.shell",
    ] {
        check(
            &plain,
            &[
                (&format!("{field} exists"), false),
                (&format!("not {field} exists"), true),
            ],
        );
    }
    let cut = with(|process| {
        process.details = Some(Box::new(Details {
            environment: Some(Environment {
                cut: true,
                ..environment(&["A=1"])
            }),
            ..Details::default()
        }));
    });
    check(
        &cut,
        &[("proc.env[A] = 1", true), ("proc.env[B] exists", false)],
    );
}

#[test]
fn without_an_entry_in_the_user_table_root_has_a_home() {
    let account = |uid| {
        with(|process| {
            process.uid = uid;
            process.details = Some(Box::new(Details {
                account: Some(Account::default()),
                ..Details::default()
            }));
        })
    };
    check(
        &account(0),
        &[("user.homedir = /root and user.shell = \"<NA>\"", true)],
    );
    check(
        &account(7),
        &[("user.homedir = \"<NA>\" and user.shell = \"<NA>\"", true)],
    );
    check(&unattributed(), &[("user.homedir = \"<NA>\"", true)]);
}

#[test]
fn outputs_print_them() {
    let mut event = detailed();
    event.elapsed.since_first_ns = 5;
    let text = "- rule: r\n  desc: d\n  condition: fd.sport = 10250\n  priority: INFO\n  output: \"%evt.reltime %evt.deltatime %proc.fdusage %proc.aexepath %proc.aenv[1] %proc.aenv %proc.aenv[B] %thread.cgroup.cpu %fd.sip.name %container.name %evt.rawarg.tuple\"\n";
    let (rules, host, mut message) = (ruleset(&[text]), host(), String::new());
    let fields = rules.rules()[0].render(&event, &host, &mut message);
    assert_eq!(
        message,
        "000000005 0 12.5 /usr/bin/bash /lib/systemd/systemd A= B= of bash  HOME=/root EMPTY= X=a=b of bash /old <NA> <NA> <NA>"
    );
    let field = |name: &str| {
        fields
            .iter()
            .find(|one| one.name.as_str() == name)
            .unwrap()
            .value
            .clone()
    };
    assert_eq!(field("evt.reltime"), Some(Value::Unsigned(5)));
    assert_eq!(field("evt.deltatime"), Some(Value::Unsigned(0)));
    assert_eq!(field("proc.fdusage"), Some(Value::Double(12.5)));
    assert_eq!(field("thread.cgroup.cpu"), Some(Value::Text("/old".into())));
    assert_eq!(field("fd.sip.name"), None);
}

#[test]
fn rules_in_force_ask_for_what_they_use() {
    let text = format!(
        "{}{}{}  enabled: false\n",
        rule(
            "a",
            "evt.type = connect and proc.env[X] = 1 and fd.name exists"
        )
        .replace("output: o", "output: \"%proc.pexepath %proc.name\""),
        rule("b", "evt.type = open and proc.nthreads > 1"),
        rule("c", "evt.type = connect and proc.stdin.type = ipv4"),
    );
    let asked = ruleset(&[&text]).asked();
    assert_eq!(
        asked.parts,
        BTreeSet::from([Part::Environment, Part::Ancestors])
    );
    assert!(asked.names.is_empty());
    assert!(
        ruleset(&[&rule("r", "fd.sport = 10250")])
            .asked()
            .is_empty()
    );
    let files = [SourceFile {
        name: "0.yaml".to_owned(),
        text: rule(
            "r",
            "fd.sip.name in (a, b) or not fd.cip.name = c and fd.rip.name != d",
        ),
    }];
    let loaded = load_with(
        &files,
        Options {
            resolve_names: true,
        },
    );
    let names = loaded.ruleset.unwrap().asked().names;
    assert_eq!(
        names,
        BTreeSet::from(["a", "b", "c", "d"].map(str::to_owned))
    );
}
