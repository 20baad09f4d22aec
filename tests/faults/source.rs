//! Makes alerts, as the pipeline does, and counts what the sinks say of them.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use detector::{
    alert::{Alert, Field, Name, Priority, Value},
    host::Host,
    sink::{
        News, Plan, Sink as _, Sinks, Style,
        settings::{SinkSettings, SpoolSettings},
    },
};
use serde_json::json;

/// One HTTP sink on a spool.
pub(crate) struct Source {
    host: Host,
    sinks: Option<Sinks>,
    settings: Vec<SinkSettings>,
    spool: SpoolSettings,
    pub(crate) made: u64,
    pub(crate) dropped: u64,
    /// As the sinks tell it.
    pub(crate) told_refused: u64,
    refused_before: u64,
    /// The spool could not be written.
    pub(crate) disk_failed: bool,
}

/// Settings of the sink.
pub(crate) fn http(url: &str, more: &serde_json::Value) -> SinkSettings {
    let mut http = json!({"url": url, "body": "lines", "timeout": "2s"});
    for (key, value) in more.as_object().unwrap() {
        http[key] = value.clone();
    }
    serde_json::from_value(json!({"name": "siem", "http": http})).unwrap()
}

/// Settings of the spool.
pub(crate) fn spool(path: &Path, more: &serde_json::Value) -> SpoolSettings {
    let mut spool = json!({"path": path});
    for (key, value) in more.as_object().unwrap() {
        spool[key] = value.clone();
    }
    serde_json::from_value(spool).unwrap()
}

impl Source {
    pub(crate) fn new(sink: SinkSettings, spool: SpoolSettings) -> Self {
        let host = Host {
            hostname: "node-1".to_owned(),
            instance: uuid::Uuid::new_v4(),
            ..Host::default()
        };
        let mut source = Self {
            host,
            sinks: None,
            settings: vec![sink],
            spool,
            made: 0,
            dropped: 0,
            told_refused: 0,
            refused_before: 0,
            disk_failed: false,
        };
        source.open();
        source
    }

    pub(crate) fn open(&mut self) {
        let plan = Plan::new(&self.settings, &self.spool, Style::default(), &self.host);
        self.sinks = Some(Sinks::new(plan.unwrap(), &self.host, false, Arc::default()).unwrap());
    }

    /// As the daemon ends.
    pub(crate) fn close(&mut self) {
        self.look(true);
        self.refused_before = self.refused();
        self.sinks.take().unwrap().finish().unwrap();
    }

    pub(crate) fn make(&mut self, priority: Priority) {
        self.made += 1;
        let name = Name::new("proc.name");
        let fields = [Field {
            name: &name,
            value: Some(Value::Text("curl".into())),
        }];
        let alert = Alert {
            sequence: self.made,
            instance: self.host.instance,
            time_ns: self.made,
            rule: "Unauthorized Kubelet API Access",
            priority,
            source: "syscall",
            hostname: &self.host.hostname,
            message: "Suspicious kubelet API access (process=curl \
                      connection=127.0.0.1:40000->127.0.0.1:10250 user=root)",
            fields: &fields,
            tags: &[],
            event: None,
        };
        self.sinks.as_mut().unwrap().write(&alert).unwrap();
    }

    /// What was made is kept.
    pub(crate) fn flush(&mut self) {
        self.sinks.as_mut().unwrap().flush().unwrap();
    }

    /// So many a second, for a time.
    pub(crate) fn feed(&mut self, rate: u32, time: Duration) {
        let (begin, first) = (Instant::now(), self.made);
        while begin.elapsed() < time {
            let due = first + (begin.elapsed().as_secs_f64() * f64::from(rate)) as u64;
            while self.made < due {
                self.make(Priority::Warning);
            }
            self.flush();
            self.news();
            // A rate is what is made here: nothing is waited for.
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Until every alert that was made arrived, was refused or was dropped; or for long.
    pub(crate) fn drain(&mut self, arrived: impl Fn() -> u64) {
        let end = Instant::now() + Duration::from_secs(120);
        while Instant::now() < end {
            self.flush();
            self.news();
            if arrived() + self.refused() + self.dropped >= self.made {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn refused(&self) -> u64 {
        let stats = self
            .sinks
            .as_ref()
            .and_then(|sinks| sinks.stats().next())
            .map(|(_, stats)| stats.snapshot());
        self.refused_before + stats.map_or(0, |stats| stats.refused)
    }

    pub(crate) fn news(&mut self) {
        self.look(false);
    }

    fn look(&mut self, last: bool) {
        for news in self.sinks.as_mut().unwrap().news(last) {
            match news {
                News::Dropped { count, .. } => self.dropped += count,
                News::Refused { count, .. } => self.told_refused += count,
                News::DiskFails(_) => self.disk_failed = true,
                News::DiskWorks
                | News::Mended { .. }
                | News::Fails { .. }
                | News::Works { .. }
                | News::Unread { .. } => {}
            }
        }
    }
}
