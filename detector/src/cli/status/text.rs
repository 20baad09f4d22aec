//! A status for people: what is zero and seldom else is left out.

use crate::metrics::{Sink, Spool, Status, Times, health};

pub(super) fn render(status: &Status) -> String {
    let mut text = String::new();
    head(status, &mut text);
    probes(status, &mut text);
    alerts(status, &mut text);
    sinks(status, &mut text);
    text
}

fn say(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn head(status: &Status, text: &mut String) {
    let Status {
        build,
        node,
        kernel,
        process,
        ..
    } = status;
    let up_ns = status.updated_ns.saturating_sub(status.started_ns);
    say(
        text,
        &format!(
            "kubelet-detector {} on {} ({}), run {}, up {}",
            clean(&build.version),
            clean(node),
            clean(kernel),
            status.instance,
            duration(up_ns / 1_000_000)
        ),
    );
    match health::seen(status) {
        Ok(()) => {
            say(text, "ready: every subject is proven to be seen");
        }
        Err(missing) => {
            for missing in missing {
                say(text, &format!("NOT READY: {}", clean(&missing)));
            }
        }
    }
    say(
        text,
        &format!(
            "{} of memory, {} of processor time, {} to judge an event",
            bytes(process.resident_bytes),
            duration(process.cpu_ns / 1_000_000),
            mean(&status.evaluation)
        ),
    );
    say(
        text,
        &format!(
            "rules read anew: {} times, refused {} times",
            status.reloads.applied, status.reloads.refused
        ),
    );
}

fn probes(status: &Status, text: &mut String) {
    let probes = &status.probes;
    let mut rows = vec![row([
        "subject",
        "proven",
        "generated",
        "delivered",
        "lost",
        "suppressed",
        "seen through",
    ])];
    rows.extend(probes.subjects.iter().map(|one| {
        row([
            &one.name,
            if one.proven { "yes" } else { "NO" },
            &one.generated.to_string(),
            &one.delivered.to_string(),
            &one.lost.to_string(),
            &one.suppressed.to_string(),
            if one.place.is_empty() {
                "nothing"
            } else {
                &one.place
            },
        ])
    }));
    table(&rows, &[2, 3, 4, 5], text);
    let events = status.events.iter();
    let events: Vec<String> = events
        .map(|one| format!("{} {}", one.count, clean(&one.kind)))
        .collect();
    say(text, &format!("events: {}", events.join(", ")));
    say(
        text,
        &format!(
            "ring buffer: {} of {}",
            bytes(probes.ring.used),
            bytes(probes.ring.size)
        ),
    );
    for one in probes.losses.iter().filter(|one| one.count > 0) {
        say(
            text,
            &format!(
                "LOST: {} of {} ({})",
                one.count,
                clean(&one.subject),
                clean(&one.cause)
            ),
        );
    }
    for one in probes.let_off.iter().filter(|one| one.connects > 0) {
        let (name, connects) = (clean(&one.name), one.connects);
        say(text, &format!("let off: {connects} connects of {name}"));
    }
}

fn alerts(status: &Status, text: &mut String) {
    let mut made: Vec<_> = status.alerts.iter().filter(|one| one.count > 0).collect();
    if made.is_empty() {
        say(text, "\nno alerts");
        return;
    }
    made.sort_by_key(|one| one.priority);
    let mut rows = vec![row(["alerts", "priority", "rule"])];
    rows.extend(made.iter().map(|one| {
        let (count, priority) = (one.count.to_string(), one.priority.as_str());
        row([&count, priority, &one.rule])
    }));
    table(&rows, &[0], text);
}

fn sinks(status: &Status, text: &mut String) {
    let sinks = &status.sinks;
    if sinks.each.is_empty() {
        return;
    }
    let mut rows = vec![row([
        "sink",
        "kind",
        "delivered",
        "refused",
        "retried",
        "dropped",
        "behind",
        "queued",
        "a request",
        "state",
    ])];
    rows.extend(sinks.each.iter().map(|one| {
        row([
            &one.name,
            &one.kind,
            &one.delivered.to_string(),
            &one.refused.to_string(),
            &one.retried.to_string(),
            &dropped(one).to_string(),
            &one.behind.to_string(),
            &bytes(one.queued),
            &mean(&one.requests),
            &match &one.failing {
                Some(why) => format!("FAILING: {why}"),
                None => "ok".to_owned(),
            },
        ])
    }));
    table(&rows, &[2, 3, 4, 5, 6, 7, 8], text);
    if let Some(spool) = &sinks.spool {
        kept(spool, text);
    }
}

fn dropped(sink: &Sink) -> u64 {
    let counts = sink.dropped.iter().map(|one| one.count);
    counts.fold(0, u64::saturating_add)
}

fn kept(spool: &Spool, text: &mut String) {
    let state = match spool.failing {
        true => ", THE DISK CANNOT BE WRITTEN",
        false => "",
    };
    say(
        text,
        &format!(
            "spool: {} on disk, {} in memory, of {}; {} segments, the oldest {}{state}",
            bytes(spool.disk_bytes),
            bytes(spool.memory_bytes),
            bytes(spool.limit_bytes),
            spool.segments,
            duration(spool.oldest_ms)
        ),
    );
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(clean).into()
}

/// After an empty line; columns of numbers are aligned at their end.
fn table(rows: &[Vec<String>], right: &[usize], text: &mut String) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    text.push('\n');
    for row in rows {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = width(column);
            match right.contains(&column) {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        say(text, line.trim_end());
    }
}

/// Reasons and names may come from outside: they get no say over the terminal.
fn clean(text: &str) -> String {
    let escaped = text.chars().map(|one| match one.is_control() {
        true => one.escape_default().to_string(),
        false => one.to_string(),
    });
    escaped.collect()
}

fn mean(times: &Times) -> String {
    let Some(ns) = times.total_ns.checked_div(times.count) else {
        return "-".to_owned();
    };
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} µs", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        _ => format!("{:.1} s", ns as f64 / 1e9),
    }
}

fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (count as f64, "B");
    for larger in UNITS {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    match unit {
        "B" => format!("{count} B"),
        _ => format!("{value:.1} {unit}"),
    }
}

/// The two largest units.
fn duration(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..10 => format!("{:.1} s", ms as f64 / 1e3),
        10..60 => format!("{s} s"),
        60..3_600 => format!("{} min {} s", s / 60, s % 60),
        3_600..86_400 => format!("{} h {} min", s / 3_600, s / 60 % 60),
        _ => format!("{} d {} h", s / 86_400, s / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (16 << 20, "16.0 MiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
        for (ms, text) in [
            (0, "0.0 s"),
            (9_999, "10.0 s"),
            (59_999, "59 s"),
            (60_000, "1 min 0 s"),
            (3_661_000, "1 h 1 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(ms), text);
        }
        for (total_ns, text) in [(999, "999 ns"), (1_500, "1.5 µs"), (2_000_000_000, "2.0 s")] {
            assert_eq!(mean(&Times { count: 1, total_ns }), text);
        }
        assert_eq!(mean(&Times::default()), "-");
    }

    #[test]
    fn what_comes_from_outside_cannot_write_to_the_terminal() {
        assert_eq!(clean("a\x1b[2J\nü\u{9b}"), "a\\u{1b}[2J\\nü\\u{9b}");
    }
}
