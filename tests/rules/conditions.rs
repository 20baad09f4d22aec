//! Conditions and their verdicts.

use detector::{
    event::{Event, Kind},
    host::Host,
};

use crate::{
    events::{event, ipv6, unattributed},
    rule, ruleset,
};

fn matches(condition: &str, event: &Event) -> bool {
    let host = Host {
        hostname: "node-1".to_owned(),
        boot_time_ns: 1_699_999_990_000_000_000,
        ..Host::default()
    };
    ruleset(&[&rule("r", condition)])
        .on_host(host)
        .evaluate(event)
        .next()
        .is_some()
}

fn check(event: &Event, rows: &[(&str, bool)]) {
    for (condition, expected) in rows {
        assert_eq!(matches(condition, event), *expected, "{condition}");
    }
}

#[test]
fn texts_are_compared() {
    check(
        &event(Kind::ConnectAttempt),
        &[
            ("proc.name = curl", true),
            ("proc.name == curl", true),
            ("proc.name=\"curl\"", true),
            ("proc.name = 'curl'", true),
            ("proc.name = Curl", false),
            ("proc.name != curl", false),
            ("proc.name != wget", true),
            ("proc.name contains ur", true),
            ("proc.name contains UR", false),
            ("proc.name contains \"\"", true),
            ("proc.name icontains UR", true),
            ("proc.name icontains \"\"", true),
            ("proc.name icontains curly", false),
            ("proc.name startswith cu", true),
            ("proc.name startswith \"\"", true),
            ("proc.name startswith url", false),
            ("proc.name endswith rl", true),
            ("proc.name endswith ru", false),
            ("proc.name glob c*l", true),
            ("proc.name glob C*", false),
            ("proc.name glob ''", false),
            ("proc.name iglob C*", true),
            ("proc.exepath glob /usr/*l", true),
            ("proc.exepath glob /usr/bin", false),
            ("proc.name regex 'c[a-z]+l'", true),
            ("proc.name regex 'c[a-z]'", false),
            ("proc.name regex 'x|curl'", true),
            ("proc.name regex ''", false),
            ("proc.name > 0", true),
            ("proc.name < 0", false),
            ("proc.exepath pmatch (/usr)", true),
            ("proc.exepath pmatch (/us)", false),
            ("proc.exepath pmatch (usr/bin/)", true),
            ("proc.exepath pmatch (/opt, /u*/bin)", true),
            ("proc.exepath pmatch (/usr/bin/curl/x)", false),
            ("proc.exepath pmatch ()", false),
        ],
    );
}

#[test]
fn sets_and_modifiers_count() {
    check(
        &event(Kind::ConnectAttempt),
        &[
            ("proc.name in (wget, curl)", true),
            ("proc.name in (wget)", false),
            ("proc.name in ()", false),
            ("not proc.name in ()", true),
            ("proc.name in curl", true),
            ("proc.name intersects (wget, curl)", true),
            ("proc.name in (a,b,c,d,e,f,g,h,i,j,curl)", true),
            ("proc.name in (a,b,c,d,e,f,g,h,i,j,wget)", false),
            ("fd.sport in (1,2,3,4,5,6,7,8,9,10250)", true),
            ("fd.sport in (1,2,3,4,5,6,7,8,9,10)", false),
            ("proc.pid in (1,2,3,4,5,6,7,8,9,42)", true),
            (
                "fd.sip in (1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4,1.1.1.5,1.1.1.6,1.1.1.7,1.1.1.8,10.0.0.5)",
                true,
            ),
            ("proc.name = oneof (curl, wget)", true),
            ("proc.name = oneof (curl, curl)", false),
            ("proc.name = anyof (curl, curl)", true),
            ("proc.name = anyof ()", false),
            ("proc.name != anyof ()", false),
            ("proc.name != allof ()", false),
            ("proc.name != anyof (curl, wget)", true),
            ("proc.name != allof (curl, wget)", false),
            ("proc.name != allof (a, wget)", true),
            ("proc.name startswith anyof (w, c)", true),
            ("proc.name contains allof (u, r)", true),
            ("proc.name contains allof (u, x)", false),
            ("proc.name glob anyof (w*, c*)", true),
            ("proc.name regex oneof ('c.*', 'w.*')", true),
            ("proc.name = anyof curl", true),
            ("fd.sport = anyof (1, 10250)", true),
            ("fd.sip = anyof (1.1.1.1, 10.0.0.5)", true),
        ],
    );
}

#[test]
fn a_missing_value_is_false_and_only_not_turns_it_round() {
    check(
        &event(Kind::Listen),
        &[
            ("fd.cip exists", false),
            ("fd.cip = 10.0.0.9", false),
            ("fd.cip != 10.0.0.9", false),
            ("fd.cip in (10.0.0.9)", false),
            ("not fd.cip = 10.0.0.9", true),
            ("not fd.cip exists", true),
            ("fd.cport < 1", false),
            ("fd.rport exists", false),
            ("fd.sport exists", true),
            ("proc.cmdline exists", true),
        ],
    );
    check(
        &event(Kind::ConnectAttempt),
        &[
            ("proc.aname[4] exists", false),
            ("proc.aname[4] != bash", false),
            ("proc.args[9] = \"\"", true),
            ("proc.args[9] exists", true),
            ("fd.nameraw = \"\"", true),
            ("user.loginname = \"<NA>\"", true),
            ("fd.filename exists", false),
            ("not fd.filename = x", true),
            ("evt.arg.flags contains O_CREAT", false),
            ("evt.arg[0] exists", false),
        ],
    );
    check(
        &unattributed(),
        &[
            ("proc.name = \"<NA>\"", true),
            ("proc.name exists", true),
            ("proc.exepath = \"<NA>\"", true),
            ("proc.exe = \"<NA>\"", true),
            ("proc.pid = -1", true),
            ("user.uid = 4294967295", true),
            ("user.uid = -1", true),
            ("user.loginuid = -1", true),
            ("user.name = \"<NA>\"", true),
            ("proc.pname exists", false),
            ("proc.ppid exists", false),
            ("proc.aname = bash", false),
            ("not proc.aname = bash", true),
        ],
    );
}

#[test]
fn ancestors_match_if_any_does() {
    check(
        &event(Kind::ConnectAttempt),
        &[
            ("proc.aname = sshd", true),
            ("proc.aname = curl", false),
            ("proc.aname != bash", true),
            ("not proc.aname = bash", false),
            ("proc.aname exists", true),
            ("proc.aname in (x, systemd)", true),
            ("proc.aname[0] = curl", true),
            ("proc.aname[1] = bash", true),
            ("proc.aname[2]=sshd", true),
            ("proc.apid = 10", true),
            ("proc.apid in (10)", true),
            ("proc.apid = 42", false),
            ("proc.apid[0] = 42", true),
            ("proc.apid[3] = 1", true),
            ("proc.aexe_name = sshd-real", true),
            ("proc.aexe_name[0] = curl", true),
            ("proc.pname = bash", true),
            ("proc.ppid = 20", true),
            ("proc.pexe_name = bash-real", true),
        ],
    );
}

#[test]
fn addresses_and_networks() {
    check(
        &event(Kind::ConnectAttempt),
        &[
            ("fd.sip = 10.0.0.5", true),
            ("fd.sip != 10.0.0.5", false),
            ("fd.sip = ::1", false),
            ("fd.sip != ::1", true),
            ("fd.sip in (::1, 10.0.0.5)", true),
            (
                "fd.cip = 10.0.0.9 and fd.lip = 10.0.0.9 and fd.rip = 10.0.0.5",
                true,
            ),
            ("fd.ip = 10.0.0.9", true),
            ("fd.ip = 10.0.0.5", true),
            ("fd.ip = 10.0.0.6", false),
            ("fd.ip != 10.0.0.5", false),
            ("fd.ip != 10.0.0.6", true),
            ("fd.ip in (10.0.0.5)", true),
            ("fd.ip = anyof (1.1.1.1, 10.0.0.9)", true),
            ("fd.ip != allof (1.1.1.1, 10.0.0.9)", false),
            ("fd.ip exists", true),
            ("fd.port = 5002", true),
            ("fd.port != 5002", false),
            ("fd.port in (1, 10250)", true),
            ("fd.port < 6000", true),
            ("fd.port = oneof (5002, 10250)", false),
            ("fd.net = 10.0.0.0/29", true),
            ("fd.net = 10.0.0.4/32", false),
            ("fd.net != 10.0.0.0/29", false),
            ("fd.net != 11.0.0.0/8", true),
            ("fd.net in (11.0.0.0/8, 10.0.0.9/32)", true),
            ("fd.snet = 10.0.0.99/24", true),
            ("fd.snet in (fd00::/8, \"10.0.0.0/8\")", true),
            ("fd.cnet != 10.0.0.0/8", false),
            ("fd.snet exists", true),
            (
                "fd.sport = 10250 and fd.rport = 10250 and fd.lport = 5002",
                true,
            ),
            ("fd.sport >= 10000 and fd.sport < 11000", true),
            ("fd.sport = 75786", true),
            ("fd.sport = https", false),
            ("fd.sproto = 10250", true),
            ("fd.proto = 5002", true),
            ("fd.name = 10.0.0.9:5002->10.0.0.5:10250", true),
            ("fd.typechar = 4 and fd.type = ipv4", true),
            ("fd.l4proto = tcp and fd.sockfamily = ip", true),
            ("fd.is_server = false", true),
            ("fd.name_changed = true", true),
        ],
    );
    check(
        &event(Kind::Accept),
        &[
            ("fd.lport = 10250 and fd.rport = 5002", true),
            ("fd.lip = 10.0.0.5", true),
            ("fd.is_server = true", true),
            ("fd.connected = true", true),
        ],
    );
    check(
        &event(Kind::Listen),
        &[
            ("fd.lport = 10250", true),
            ("fd.ip = 10.0.0.5", true),
            ("fd.ip != 10.0.0.5", false),
            ("fd.name = 10.0.0.5:10250", true),
            ("fd.name_changed = false", true),
        ],
    );
    check(
        &ipv6(),
        &[
            ("fd.sip = fd00::5", true),
            ("fd.snet = fd00::/8", true),
            ("fd.snet = 10.0.0.0/8", false),
            ("fd.net in (10.0.0.0/8, fd00::/64)", true),
            ("fd.name = fd00::9:5002->fd00::5:10250", true),
            ("fd.typechar = 6 and fd.type = ipv6", true),
        ],
    );
}

#[test]
fn every_family_of_fields_has_values() {
    check(
        &event(Kind::ConnectAttempt),
        &[
            ("evt.num = 3", true),
            ("evt.num > -1", false),
            ("evt.cpu = 1", true),
            ("evt.type = connect and syscall.type = connect", true),
            ("evt.type in (accept, connect)", true),
            ("evt.type exists", true),
            ("evt.dir = <", true),
            ("evt.dir = >", false),
            ("evt.category = net and evt.source = syscall", true),
            ("evt.hostname = node-1", true),
            ("evt.time = 22:13:20.000000001", true),
            ("evt.time.s = 22:13:20", true),
            ("evt.time.iso8601 startswith 2023-11-14T22:13:20", true),
            ("evt.datetime startswith \"2023-11-14 22:13:20.\"", true),
            ("evt.datetime.s = \"2023-11-14 22:13:20\"", true),
            ("evt.rawtime = 1700000000000000001", true),
            ("evt.rawtime.s = 1700000000 and evt.rawtime.ns = 1", true),
            ("evt.is_open_read = true", false),
            ("evt.count = 1", true),
            ("evt.arg.tuple = 10.0.0.9:5002->10.0.0.5:10250", true),
            ("evt.arg.addr = 10.0.0.5:10250", true),
            ("proc.exe = curl and proc.exepath = /usr/bin/curl", true),
            ("proc.args = \"-k https://10.0.0.5:10250/pods\"", true),
            ("proc.args[0] = -k", true),
            ("proc.cmdline startswith \"curl -k\"", true),
            ("proc.exeline startswith \"curl -k\"", true),
            ("proc.cmdnargs = 2 and proc.cmdlenargs = 29", true),
            ("proc.cwd = /root/", true),
            ("proc.pid = 42 and proc.vpid = 7", true),
            ("proc.sid = 10 and proc.sname = sshd", true),
            ("proc.pgid = 42 and proc.pgid.name = curl", true),
            (
                "proc.is_pgid_leader = true and proc.is_sid_leader = false",
                true,
            ),
            ("proc.tty != 0", true),
            ("proc.loginshellid = 20", true),
            ("proc.duration = 8000000001", true),
            ("proc.ppid.duration = 9000000001", true),
            ("proc.pid.ts = 1699999992000000000", true),
            ("proc.exe_ino = 99", true),
            ("proc.exe_dev exists", false),
            ("proc.is_exe_upper_layer = true", true),
            ("proc.is_exe_from_memfd = false", true),
            ("thread.tid = 43 and thread.ismain = false", true),
            ("thread.cap_effective = \"CAP_CHOWN CAP_SYS_ADMIN\"", true),
            ("thread.cgroups contains kubepods", true),
            ("user.uid = 1000 and user.name = ann", true),
            ("user.loginuid = -1", true),
            ("group.gid = 100 and group.name = \"<NA>\"", true),
            ("container.id = 0123456789ab", true),
            ("container.full_id = 0123456789abcdef0123", true),
            ("flow.cookie = 7", true),
        ],
    );
}

#[test]
fn results_are_judged_on_the_outcome() {
    let rows = [
        ("evt.res = ECONNREFUSED", true),
        ("evt.res != SUCCESS", true),
        ("evt.rawres < 0", true),
        ("evt.rawres = -111", true),
        ("evt.failed = true", true),
        ("fd.connected = false", true),
        ("evt.arg.res = ECONNREFUSED", true),
        ("evt.arg[0] = ECONNREFUSED", true),
        ("evt.count.error = 1", true),
    ];
    check(&event(Kind::ConnectOutcome), &rows);
    for (condition, _) in rows {
        assert!(
            !matches(condition, &event(Kind::ConnectAttempt)),
            "{condition}"
        );
    }
    check(&event(Kind::ConnectOutcome), &[("fd.sport = 10250", false)]);
    check(
        &event(Kind::Accept),
        &[("evt.res = SUCCESS", true), ("evt.rawres >= 0", true)],
    );
}

#[test]
fn fields_are_compared_with_fields() {
    check(
        &event(Kind::ConnectAttempt),
        &[
            ("proc.name = val(proc.pname)", false),
            ("proc.name != val(proc.pname)", true),
            ("proc.name = proc.exe", false),
            ("proc.name = val(proc.exe)", true),
            ("proc.cmdline contains val(proc.name)", true),
            ("proc.cmdline startswith val(proc.exe)", true),
            ("proc.name in val(proc.exe)", true),
            ("fd.sport = val(fd.rport)", true),
            ("fd.sport > val(fd.cport)", true),
            ("fd.sip = val(fd.cip)", false),
            ("proc.name = val(container.full_id)", false),
            ("proc.name = tolower(proc.exe)", true),
            ("toupper(proc.name) = CURL", true),
            ("toupper(proc.name) in (CURL)", true),
            ("basename(proc.exepath) = curl", true),
            ("basename(proc.exepath) = val(proc.name)", true),
            ("len(proc.name) = 4", true),
            ("len(proc.name) > 4", false),
            ("concat(proc.name, \"-\", proc.pname) = curl-bash", true),
            ("join(\"/\", (proc.name, fd.sport)) = curl/10250", true),
            ("tolower(concat(\"A\", proc.name)) = acurl", true),
            ("len(tolower(proc.pname)) = 4", true),
            ("b64(proc.pname) exists", true),
            ("b64(proc.exepath) exists", false),
        ],
    );
    check(
        &event(Kind::Listen),
        &[
            ("fd.sport = val(fd.cport)", false),
            ("fd.sport != val(fd.cport)", false),
            ("join(\"\", (fd.cport, proc.name)) exists", false),
        ],
    );
}

#[test]
fn logic_is_falcos() {
    check(
        &event(Kind::ConnectAttempt),
        &[
            ("proc.name = x or proc.name = curl and fd.sport = 1", false),
            ("proc.name = curl or proc.name = x and fd.sport = 1", true),
            ("not proc.name = x and fd.sport = 10250", true),
            ("not (proc.name = x or fd.sport = 10250)", false),
            ("not not proc.name = curl", true),
            ("not(proc.name = x)", true),
            ("proc.name = curl and(fd.sport = 10250)", true),
            ("not evt.type = accept", true),
            ("evt.type != connect", false),
            ("evt.type = accept or fd.sport = 10250", true),
            ("fd.sport exists and proc.name exists", true),
        ],
    );
}
