//! Alerts of every shipped rule, of recorded events and of ones that nobody expects, in every
//! encoding: each is read by what reads such alerts elsewhere (`tests/peers`).
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
    thread,
};

use detector::{
    alert::Alert,
    event::{
        Ancestor, Attribution, Elapsed, Endpoint, Event, Executable, Family, Item, Kind, Loss,
        Process, Socket, Thread,
    },
    host::Host,
    pipeline::{Pipeline, replay},
    rules::{self, Ruleset, SourceFile},
    sink::{Format, Sink, SinkError, Style, format::Encoder, kept::Kept},
    trace,
};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message as _;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// The whole of the schema, as Elastic publishes it.
const PUBLISHED: &str = "target/tools/ecs/package/build/commonjs/ecs_flat.js";
/// Alerts of each rule.
const ALERTS: u64 = 1000;
/// Fields whose names are the beginnings of others, of every type, and with what a name can hold.
const ODD: &str = r#"
- rule: "Odd | rule = \\ \"name\" \u00e9\u2028"
  desc: d
  condition: fd.sport = 10251
  output: >-
    Odd output=%evt.args | %evt.num %evt.time %evt.rawtime %evt.type %evt.res %evt.rawres %proc.name
    %proc.pid %proc.pid.ts %proc.aname[2] %proc.args[1] %proc.cmdline %proc.env[A.B] %proc.env[A_B]
    %proc.tty %proc.duration %proc.is_exe_upper_layer %fd.name %fd.ip %fd.sip %fd.cip %fd.sport
    %fd.cport %user.uid %user.loginuid %container.id %k8s.ns.name %k8s.pod.name %k8s.pod.uid
    %thread.cap_effective %flow.cookie %flow.found
  priority: EMERGENCY
  tags: ["a,b", "c|d=e", "\\"]
"#;

/// Numbers that look random, the same in each run (Marsaglia's xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        let index = self.next() % all.len() as u64;
        all[usize::try_from(index).unwrap()].clone()
    }

    /// One of the ends of its range, or one between them.
    fn number(&mut self) -> u32 {
        let between = u32::try_from(self.next() >> 40).unwrap();
        self.one_of(&[0, 1, between, u32::MAX])
    }

    fn text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.next() % 4 {
            text.push_str(self.one_of(&[
                "",
                "curl",
                "a b",
                "\n",
                "\r\n",
                "\0\u{1}\u{1b}[31m",
                "x=|y",
                "\\",
                "\"",
                " cs1=x dst=1.2.3.4 ",
                "\u{fffd}",
                "\u{7f}\u{85}\u{9f}",
                "\u{2028}\u{202e}\u{1f600}",
                "%proc.name </script> ${jndi:x}",
            ]));
        }
        match self.next() % 20 {
            0 => text.repeat(4096 / text.len().max(1)),
            _ => text,
        }
    }

    fn end(&mut self, port: u16) -> Endpoint {
        let ip = self.one_of(&[
            "10.0.0.9",
            "0.0.0.0",
            "255.255.255.255",
            "127.0.0.1",
            "::",
            "::1",
            "fe80::1",
            "2001:db8:1111:2222:3333:4444:5555:6666",
            "::ffff:1.2.3.4",
        ]);
        Endpoint {
            ip: ip.parse().unwrap(),
            port,
        }
    }

    /// Such that it is of this kind and has this port: the rest is as odd as it can be.
    fn event(&mut self, kind: Kind, port: u16) -> Event {
        let server = self.end(port);
        let client_port = self.one_of(&[0, 1, 50_312, u16::MAX]);
        let client = self.end(client_port);
        let attribution = self.one_of(&[
            Attribution::Caller,
            Attribution::Caller,
            Attribution::ListenerOwner,
            Attribution::Unknown,
        ]);
        let process = match attribution {
            Attribution::Unknown => Process::default(),
            _ => self.process(),
        };
        let between = self.next();
        Event {
            number: 0,
            time_ns: self.one_of(&[1, 1_700_000_000_123_456_789, between, u64::MAX]),
            cpu: self.number(),
            kind,
            socket: Socket {
                cookie: self.one_of(&[0, u64::MAX]),
                family: self.one_of(&[Family::Ipv4, Family::Ipv6]),
                mapped: self.one_of(&[true, false]),
                client: match kind {
                    Kind::Listen => None,
                    _ => self.one_of(&[Some(client), Some(client), None]),
                },
                server,
                netns: self.number(),
            },
            errno: match kind {
                Kind::ConnectAttempt => None,
                _ => self.one_of(&[Some(0), Some(111), Some(i32::MAX), None]),
            },
            attribution,
            thread: Thread {
                tid: self.number(),
                comm: match attribution {
                    Attribution::Unknown => String::new(),
                    _ => self.text(),
                },
            },
            found: self.one_of(&[true, false]),
            elapsed: Elapsed::default(),
            names: None,
            original: self.one_of(&[None, Some(server)]),
            creator: None,
            process: Arc::new(process),
        }
    }

    fn process(&mut self) -> Process {
        let id = "0123456789abcdef".repeat(4);
        let pod = self.one_of(&[
            "1a2b3c4d-0000-1111-2222-333344445555",
            "1a2b3c4d000011112222333344445555",
            "-",
        ]);
        let ancestor = Ancestor {
            pid: self.number(),
            start_time_ns: self.next(),
            comm: self.text(),
            exe_name: self.text(),
        };
        Process {
            pid: self.number(),
            vpid: self.number(),
            start_time_ns: self.one_of(&[0, 1, 90_000_000_000, u64::MAX]),
            comm: self.text(),
            exe: Executable {
                path: self.text(),
                ..Executable::default()
            },
            args: (0..self.next() % 4).map(|_| self.text()).collect(),
            cwd: self.text(),
            cgroup: self.one_of(&[String::new(), format!("/kubepods/pod{pod}/{id}")]),
            uid: self.number(),
            gid: self.number(),
            euid: self.number(),
            login_uid: Some(self.number()),
            user_name: self.one_of(&[None, Some("ann".to_owned()), Some("\"\n".to_owned())]),
            group_name: self.one_of(&[None, Some(String::new()), Some("é".to_owned())]),
            tty: self.number(),
            capabilities: self.next(),
            container_id: self.one_of(&[None, Some(id)]),
            ancestors: (0..self.next() % 3).map(|_| ancestor.clone()).collect(),
            ..Process::default()
        }
    }
}

/// A file of lines for each encoding.
struct Written {
    name: &'static str,
    encoder: Encoder,
    file: BufWriter<File>,
    line: Vec<u8>,
}

impl Written {
    fn new(name: &'static str, format: Format, host: &Host, folder: &Path) -> Self {
        let style = Style {
            format,
            ..Style::default()
        };
        let file = File::options()
            .create(true)
            .append(true)
            .open(folder.join(name))
            .unwrap();
        Self {
            name,
            encoder: Encoder::new(style, host),
            file: BufWriter::new(file),
            line: Vec::new(),
        }
    }

    fn write(&mut self, alert: &Alert<'_>, kept: &Alert<'_>) {
        self.line.clear();
        self.encoder.encode(alert, &mut self.line);
        assert!(!self.line.contains(&b'\n'), "{}", self.name);
        let mut again = Vec::new();
        self.encoder.encode(kept, &mut again);
        assert!(again == self.line, "a kept alert is another");
        if self.name == "otlp" {
            let json = str::from_utf8(&self.line).unwrap();
            let request: ExportLogsServiceRequest = serde_json::from_str(json).unwrap();
            let digits = |byte| format!("{byte:02x}");
            let protobuf: String = request.encode_to_vec().into_iter().map(digits).collect();
            let line = format!(r#"{{"json":{json},"protobuf":"{protobuf}"}}"#);
            self.line = line.into_bytes();
        }
        self.line.push(b'\n');
        self.file.write_all(&self.line).unwrap();
    }
}

/// Writes each alert in every encoding, and the same of it as the spool keeps it.
struct Everything<'a> {
    files: Vec<Written>,
    alerts: &'a mut u64,
}

impl<'a> Everything<'a> {
    fn new(host: &Host, folder: &Path, alerts: &'a mut u64) -> Self {
        let files = [
            ("falco", Format::Json),
            ("ocsf", Format::Ocsf),
            ("ecs", Format::Ecs),
            ("cef", Format::Cef),
            ("otlp", Format::Otlp),
        ]
        .map(|(name, format)| Written::new(name, format, host, folder));
        Self {
            files: files.into(),
            alerts,
        }
    }
}

impl Sink for Everything<'_> {
    fn write(&mut self, alert: &Alert<'_>) -> Result<(), SinkError> {
        *self.alerts += 1;
        let bytes = postcard::to_stdvec(&Kept::of(alert)).unwrap();
        let kept: Kept = postcard::from_bytes(&bytes).unwrap();
        let fields = kept.fields();
        let kept = kept.alert(&fields);
        self.files
            .iter_mut()
            .for_each(|file| file.write(alert, &kept));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.files
            .iter_mut()
            .for_each(|file| file.file.flush().unwrap());
        Ok(())
    }
}

fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(ROOT).join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(end))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn ruleset() -> Ruleset {
    let shipped = files("rules", ".yaml").into_iter().map(|path| SourceFile {
        name: path.display().to_string(),
        text: fs::read_to_string(&path).unwrap(),
    });
    let odd = SourceFile {
        name: "odd.yaml".to_owned(),
        text: ODD.to_owned(),
    };
    let loaded = rules::load(&shipped.chain([odd]).collect::<Vec<_>>());
    let mistakes: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    loaded.ruleset.unwrap_or_else(|| panic!("{mistakes:?}"))
}

/// The alerts that were written to files in the folder.
fn write_alerts(folder: &Path) -> u64 {
    let mut alerts = 0;
    for path in files("tests/traces", ".jsonl") {
        let mut reader = trace::Reader::open(&path, |file| Box::new(file)).unwrap();
        let host = reader.host.clone();
        let sink = Everything::new(&host, folder, &mut alerts);
        let pipeline = Pipeline::new(ruleset(), host, sink);
        replay::replay(&mut reader, pipeline).unwrap();
    }
    assert!(alerts > 10, "{alerts} of the traces");
    let mut numbers = Numbers(11);
    let host = Host {
        hostname: "node-1".to_owned(),
        kernel: "6.12.1".to_owned(),
        boot_time_ns: 1_700_000_000_000_000_000,
        utc_offset_s: -5400,
        instance: uuid::Uuid::from_u128(7),
    };
    let rules = ruleset();
    let names: Vec<String> = rules.rules().iter().map(|rule| rule.name.clone()).collect();
    let mut expected = alerts;
    let sink = Everything::new(&host, folder, &mut alerts);
    let mut pipeline = Pipeline::new(rules, host, sink);
    for name in &names {
        let (kinds, port): (&[Kind], u16) = match name.as_str() {
            "Unauthorized Kubelet API Access" => (&[Kind::ConnectAttempt], 10250),
            "Kubelet API Accepted By Unexpected Process" => (&[Kind::Accept], 10250),
            "Unexpected Listener On Kubelet Port" => (&[Kind::Listen], 10255),
            odd if odd.starts_with("Odd") => {
                // It asks for the result.
                (&[Kind::ConnectOutcome, Kind::Accept, Kind::Listen], 10251)
            }
            other => panic!("say here which kind of event the rule `{other}` is about"),
        };
        for _ in 0..ALERTS {
            let kind = numbers.one_of(kinds);
            let event = numbers.event(kind, port);
            pipeline.process(Item::Event(event)).unwrap();
        }
    }
    expected += names.len() as u64 * ALERTS;
    // The detector's own.
    for _ in 0..ALERTS {
        let loss = Loss {
            time_ns: numbers.next().max(1),
            subject: numbers.text(),
            cause: numbers.text(),
            count: numbers.next(),
        };
        pipeline.process(Item::Drop(loss)).unwrap();
    }
    expected += ALERTS;
    pipeline.finish().unwrap();
    assert_eq!(alerts, expected, "each event is one alert");
    alerts
}

/// Reads alerts of one encoding as others do.
struct Reader<'a> {
    name: &'static str,
    python: &'a Path,
    /// The modules without which it cannot read.
    needs: &'static str,
    /// What makes an alert invalid: this, by that.
    breaks: (&'static str, &'static str),
}

impl Reader<'_> {
    fn is_there(&self) -> bool {
        let output = Command::new(self.python)
            .args(["-c", &format!("import {}", self.needs)])
            .output();
        output.is_ok_and(|output| output.status.success())
    }

    fn read(&self, file: &Path) -> Output {
        let mut command = Command::new(self.python);
        command
            .arg(Path::new(ROOT).join(format!("tests/peers/{}.py", self.name)))
            .arg(file)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let published = Path::new(ROOT).join(PUBLISHED);
        if self.name == "ecs" && published.exists() {
            command.arg(published);
        }
        command.output().unwrap()
    }

    /// What is wrong with the alerts, or with the reader: it is to refuse a broken one.
    fn judge(&self, folder: &Path, alerts: u64) -> Result<(), String> {
        let Self { name, breaks, .. } = self;
        if !self.is_there() {
            let (python, needs) = (self.python.display(), self.needs);
            println!("skipped: {python} has no {needs} to read {name} with (cargo xtask setup)");
            return Ok(());
        }
        let file = folder.join(name);
        let output = self.read(&file);
        let valid = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        println!("formats: {valid} of {alerts} alerts are valid as {name}");
        if !output.status.success() || valid != alerts.to_string() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{name}: {stderr}"));
        }
        let lines = fs::read_to_string(&file).unwrap();
        let line = lines.lines().next().unwrap().to_owned();
        let broken = line.replacen(breaks.0, breaks.1, 1);
        assert_ne!(broken, line, "{name}");
        let file = folder.join(format!("{name}.broken"));
        fs::write(&file, format!("{line}\n{broken}\n")).unwrap();
        let output = self.read(&file);
        let stdout = String::from_utf8_lossy(&output.stdout);
        if output.status.success() || stdout.trim() != "1" {
            return Err(format!("{name}: a broken alert is taken: {broken}"));
        }
        Ok(())
    }
}

#[test]
fn alerts_are_valid_in_every_encoding() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let alerts = write_alerts(folder);
    if !Path::new(ROOT).join(PUBLISHED).exists() {
        println!("skipped: ecs.json is not compared with @elastic/ecs (cargo xtask setup)");
    }
    let tools = Path::new(ROOT).join("target/tools/python/bin/python");
    let system = Path::new("python3");
    let readers = [
        ("falco", system, "json", ("\"time\":\"", "\"time\":\"x")),
        (
            "ocsf",
            &tools,
            "ocsf_json_schema, jsonschema",
            ("\"ip\":\"", "\"ip\":\"x"),
        ),
        ("ecs", system, "json", ("\"pid\":", "\"pids\":")),
        ("cef", system, "re", (" dpt=", " port=")),
        (
            "otlp",
            &tools,
            "opentelemetry.proto",
            ("\"timeUnixNano\"", "\"timeUnixNanos\""),
        ),
    ]
    .map(|(name, python, needs, breaks)| Reader {
        name,
        python,
        needs,
        breaks,
    });
    let wrong: Vec<String> = thread::scope(|scope| {
        readers
            .each_ref()
            .map(|reader| scope.spawn(|| reader.judge(folder, alerts)))
            .into_iter()
            .filter_map(|judge| judge.join().unwrap().err())
            .collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
