//! Renders one alert over and over, on one core and into memory, and prints for the shipped rule
//! and for an output of twelve fields how many alerts a second that makes in each encoding:
//! `cargo xtask bench` prints them with the limits.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::{
    hint::black_box,
    io::{self, Write},
    sync::Arc,
    time::Instant,
};

use detector::{
    event::{
        Ancestor, Attribution, Elapsed, Endpoint, Event, Executable, Family, Kind, Process, Socket,
        Thread,
    },
    host::Host,
    pipeline::alerts::Alerts,
    rules::{self, SourceFile},
    sink::{Format, Stream, Style},
};

const SHIPPED: &str = include_str!("../../rules/kubelet_rules.yaml");
const TWELVE: &str = "
- rule: Twelve fields
  desc: An output as long as those of Falco's stock rules
  condition: evt.type = connect and fd.sport = 10250
  output: Network connection of a program (evt_type=%evt.type user=%user.name user_uid=%user.uid
    user_loginuid=%user.loginuid process=%proc.name proc_exepath=%proc.exepath parent=%proc.pname
    command=%proc.cmdline terminal=%proc.tty connection=%fd.name lport=%fd.lport fd_type=%fd.type)
  priority: NOTICE
  tags: [network, process, mitre_execution]
";
const ALERTS: u32 = 200_000;
const RUNS: usize = 9;

/// The buffer of a sink: it is full now and then, and empty again.
#[derive(Default)]
struct Memory(Vec<u8>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        const SIZE: usize = 64 << 10;
        if self.0.len() + bytes.len() > SIZE {
            black_box(&self.0);
            self.0.clear();
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn event() -> Event {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Event {
        number: 1,
        time_ns: 1_700_000_000_000_000_000,
        cpu: 1,
        kind: Kind::ConnectAttempt,
        socket: Socket {
            cookie: 7,
            family: Family::Ipv4,
            mapped: false,
            client: Some(Endpoint {
                ip: [10, 24, 0, 139].into(),
                port: 50_312,
            }),
            server: Endpoint {
                ip: [10, 24, 0, 15].into(),
                port: 10250,
            },
            netns: 1,
        },
        errno: None,
        attribution: Attribution::Caller,
        thread: Thread {
            tid: 4243,
            comm: "curl".to_owned(),
        },
        found: false,
        elapsed: Elapsed::default(),
        names: None,
        original: None,
        creator: None,
        process: Arc::new(Process {
            pid: 4242,
            comm: "curl".to_owned(),
            exe: Executable {
                path: "/usr/bin/curl".to_owned(),
                ..Executable::default()
            },
            args: texts(&["curl", "-k", "https://10.24.0.15:10250/pods"]),
            cwd: "/root".to_owned(),
            uid: 1000,
            login_uid: Some(1000),
            user_name: Some("ann".to_owned()),
            tty: 34_816,
            ancestors: vec![Ancestor {
                pid: 4000,
                comm: "bash".to_owned(),
                ..Ancestor::default()
            }],
            ..Process::default()
        }),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = Host {
        hostname: "node-1".to_owned(),
        utc_offset_s: 3600,
        ..Host::default()
    };
    for (name, text) in [("shipped", SHIPPED), ("twelve", TWELVE)] {
        let loaded = rules::load(&[SourceFile {
            name: name.to_owned(),
            text: text.to_owned(),
        }]);
        let ruleset = loaded.ruleset.ok_or("the rules are invalid")?;
        let mut event = event();
        let rule = ruleset.rules().first().ok_or("no rule")?;
        for (format, shown) in [
            (Format::Text, "text"),
            (Format::Json, "json"),
            (Format::Ocsf, "ocsf"),
            (Format::Ecs, "ecs"),
            (Format::Cef, "cef"),
            (Format::Otlp, "otlp"),
        ] {
            let style = Style {
                format,
                ..Style::default()
            };
            let sink = Stream::new(style, &host, Memory::default());
            let mut alerts = Alerts::new(host.clone(), sink);
            let mut rates = Vec::new();
            // The first run warms caches and is not counted.
            for _ in 0..=RUNS {
                let begin = Instant::now();
                for _ in 0..ALERTS {
                    // 20,000 events a second.
                    event.time_ns += 50_000;
                    alerts.matched(black_box(rule), black_box(&event))?;
                }
                rates.push(f64::from(ALERTS) / begin.elapsed().as_secs_f64());
            }
            rates.remove(0);
            rates.sort_by(f64::total_cmp);
            let median = rates.get(RUNS / 2).ok_or("no run")?;
            println!("{name} {shown} {median:.0}");
        }
    }
    Ok(())
}
