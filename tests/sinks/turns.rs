//! Sinks that change while alerts go on: what stays misses nothing, what goes is counted.

use std::{collections::BTreeSet, fs, path::Path};

use detector::sink::{Format, News, settings::SinkSettings};

use crate::{
    alerts::{ALERTS, Alerts, assert_same, bodies},
    certificates::Certificates,
    delivery::{Delivery, settings},
    http::arrived,
    peers::{Lines, free_port, served, wait_until},
};

/// The turns of the first test.
const TURNS: usize = 100;

fn lines(name: &str, url: &str, more: &str) -> String {
    format!("- {{name: {name}, {more} http: {{url: '{url}', body: lines}}}}\n")
}

fn configured(sinks: &[String]) -> Vec<SinkSettings> {
    settings(&format!("sinks:\n{}", sinks.concat()))
}

#[test]
fn a_hundred_turns_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some((_server, port)) = served(folder.path(), "http_contract.py", &[]) else {
        return;
    };
    let alerts = Alerts::new(ALERTS);
    let url = format!("http://127.0.0.1:{port}/lines");
    let file = |number: usize| folder.path().join(format!("file{number}"));
    let nobody = format!("http://127.0.0.1:{}/", free_port());
    let planned = |turn: usize| {
        let mut sinks = vec![format!(
            "- {{name: stays, http: {{url: '{url}', body: lines, batch: {}, gzip: {}}}}}\n",
            1 + turn * 7 % 500,
            turn.is_multiple_of(2)
        )];
        let path = file(turn % 3);
        let path = path.display();
        sinks.push(format!("- {{name: file, file: {{path: '{path}'}}}}\n"));
        if turn % 4 == 1 {
            sinks.push(lines("comes", &nobody, ""));
        }
        configured(&sinks)
    };
    let spool = folder.path().join("spool");
    let mut delivery = Delivery::start(&planned(0), &spool, &alerts.host);
    for (turn, some) in alerts.all.chunks(ALERTS / TURNS).enumerate() {
        delivery.turn(&planned(turn)).unwrap();
        delivery.write(some);
    }
    let stats = delivery.finish();
    assert_eq!((stats.delivered, stats.refused), (ALERTS as u64, 0));
    let expected = alerts.bodies(Format::Json);
    assert_same(&arrived(folder.path(), "/lines"), &expected);
    let written = (0..3).flat_map(|number| Lines::of(file(number)).all());
    let written: BTreeSet<Vec<u8>> = written.map(String::into_bytes).collect();
    assert_eq!(written, expected.into_iter().collect());
}

/// From the turn on a sink gets what it asks for then, however close the next alert is.
#[test]
fn a_filter_that_widens_misses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some((_server, port)) = served(folder.path(), "http_contract.py", &[]) else {
        return;
    };
    let alerts = Alerts::new(4000);
    let url = format!("http://127.0.0.1:{port}/lines");
    let (narrow, wide) = (
        configured(&[lines("sink", &url, "tags: [none],")]),
        configured(&[lines("sink", &url, "")]),
    );
    let mut delivery = Delivery::start(&narrow, &folder.path().join("spool"), &alerts.host);
    let mut expected = Vec::new();
    for some in alerts.all.chunks(20) {
        let (unwanted, wanted) = some.split_at(10);
        delivery.turn(&narrow).unwrap();
        delivery.write(unwanted);
        wait_until("what is not wanted", || {
            (delivery.behind("sink") == 0).then_some(())
        });
        delivery.turn(&wide).unwrap();
        delivery.write(wanted);
        expected.extend(wanted);
        wait_until("what is wanted", || {
            (delivery.behind("sink") == 0).then_some(())
        });
    }
    delivery.end();
    let arrived = arrived(folder.path(), "/lines");
    assert_same(&arrived, &bodies(expected, Format::Json, &alerts.host));
}

fn removed(news: &[News]) -> Vec<(&str, u64)> {
    let removed = news.iter().filter_map(|news| match news {
        News::Dropped { sink, cause, count } => {
            assert_eq!(*cause, "sink_removed");
            Some((&**sink, *count))
        }
        _ => None,
    });
    removed.collect()
}

#[test]
fn what_a_sink_misses_that_is_taken_out_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let Some((_server, port)) = served(folder.path(), "http_contract.py", &[]) else {
        return;
    };
    let alerts = Alerts::new(2000);
    let (first, second) = alerts.all.split_at(1000);
    let (spool, host) = (folder.path().join("spool"), &alerts.host);
    let nobody = format!("http://127.0.0.1:{}/", free_port());
    let stays = lines("stays", &format!("http://127.0.0.1:{port}/lines"), "");
    let goes = lines("goes", &nobody, "priority: error,");
    let both = configured(&[stays.clone(), goes]);
    let one = configured(&[stays]);
    let wanted = |some: &[detector::sink::kept::Kept]| {
        let filter = detector::sink::filter::Filter::new(&both[1]);
        some.iter().filter(|kept| filter.wants(kept)).count() as u64
    };

    // While the detector runs, by what its filter says.
    let mut delivery = Delivery::start(&both, &spool, host);
    delivery.write(first);
    delivery.turn(&one).unwrap();
    let told = wait_until("the news", || {
        let news = delivery.news();
        (!removed(&news).is_empty()).then_some(news)
    });
    assert_eq!(removed(&told), [("goes", wanted(first))]);

    // It comes back as one that nobody knew, and gets what others do not have yet.
    delivery.wait(1000);
    delivery.turn(&both).unwrap();
    delivery.write(second);
    delivery.wait(2000);
    assert_eq!(delivery.behind("goes"), 1000);
    delivery.end();

    // While it does not run: nobody knows its filter then.
    let mut delivery = Delivery::start(&one, &spool, host);
    assert_eq!(removed(&delivery.news()), [("goes", 1000)]);
    delivery.end();
    let mut delivery = Delivery::start(&both, &spool, host);
    assert_eq!(delivery.news(), []);
    delivery.end();
    assert_same(
        &arrived(folder.path(), "/lines"),
        &alerts.bodies(Format::Json),
    );
}

#[test]
fn a_plan_that_fails_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let alerts = Alerts::new(300);
    let file = |path: &Path| {
        let path = path.display();
        configured(&[format!("- {{name: file, file: {{path: '{path}'}}}}\n")])
    };
    let (good, wrong) = (folder.path().join("out"), folder.path().join("none/out"));
    let spool = folder.path().join("spool");
    let mut delivery = Delivery::start(&file(&good), &spool, &alerts.host);
    delivery.write(&alerts.all[..100]);
    let error = delivery.turn(&file(&wrong)).unwrap_err();
    let shown = wrong.display();
    assert_eq!(
        error.to_string(),
        format!("the sink `file` cannot write {shown}")
    );
    delivery.write(&alerts.all[100..200]);

    // A spool that cannot be opened.
    fs::write(&spool, "no folder").unwrap();
    let mut more = file(&good);
    more.extend(configured(&[lines("remote", "http://127.0.0.1:9/", "")]));
    let error = delivery.turn(&more).unwrap_err();
    assert!(
        error.to_string().contains("cannot make the folder"),
        "{error}"
    );
    delivery.write(&alerts.all[200..]);
    delivery.end();
    let lines = Lines::of(good).all().into_iter().map(String::into_bytes);
    assert_same(&lines.collect::<Vec<_>>(), &alerts.bodies(Format::Json));
}

/// Certificates are renewed in place.
#[test]
fn files_of_tls_are_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    let right = Certificates::new(&folder.path().join("right"));
    let wrong = Certificates::new(&folder.path().join("wrong"));
    let arguments = right.arguments();
    let Some((_server, port)) = served(folder.path(), "http_contract.py", &arguments) else {
        return;
    };
    let alerts = Alerts::new(500);
    let at = |name: &str| folder.path().join(name);
    let place = |from: &Certificates| {
        for (file, name) in [
            (&from.ca, "ca"),
            (&from.client, "cert"),
            (&from.client_key, "key"),
        ] {
            fs::copy(file, at(name)).unwrap();
        }
    };
    let sinks = configured(&[format!(
        "- {{name: sink, http: {{url: 'https://127.0.0.1:{port}/lines', body: lines, \
         tls: {{server_name: siem.example, ca: '{}', certificate: '{}', key: '{}'}}}}}}\n",
        at("ca").display(),
        at("cert").display(),
        at("key").display()
    )]);
    place(&wrong);
    let mut delivery = Delivery::start(&sinks, &at("spool"), &alerts.host);
    delivery.write(&alerts.all);
    let why = wait_until("a refusal", || delivery.stats().failing);
    assert!(why.contains("certificate"), "{why}");
    place(&right);
    delivery.turn(&sinks).unwrap();
    let stats = delivery.finish();
    assert_eq!(stats.delivered, 500);
    assert_same(
        &arrived(folder.path(), "/lines"),
        &alerts.bodies(Format::Json),
    );
}
