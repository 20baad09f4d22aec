//! Whether the detector is alive, and whether it sees.

use std::time::Duration;

use super::{Posted, Status};

/// How old a status may be: it is made every second, and a burst of events delays it.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The pipeline goes on; else why it does not.
pub fn alive(posted: Option<&Posted>) -> Result<&Status, String> {
    match posted {
        None => Err("the probes are not attached yet".to_owned()),
        Some(Posted { age, .. }) if *age > PATIENCE => Err(format!(
            "events were processed last {} s ago",
            age.as_secs()
        )),
        Some(Posted { status, .. }) => Ok(status),
    }
}

/// It is alive, and sees.
pub fn ready(posted: Option<&Posted>) -> Result<(), String> {
    let status = alive(posted)?;
    seen(status).map_err(|missing| missing.join("\n"))
}

/// Every subject is proven to be seen, and no fault stands; else what is missing.
pub fn seen(status: &Status) -> Result<(), Vec<String>> {
    let unproven = status.probes.subjects.iter().filter(|one| !one.proven);
    let unproven: Vec<&str> = unproven.map(|one| one.name.as_str()).collect();
    let mut missing = status.probes.faults.clone();
    if status.probes.subjects.is_empty() {
        missing.push("no probe is attached".to_owned());
    } else if !unproven.is_empty() {
        missing.push(format!("not proven yet: {}", unproven.join(", ")));
    }
    match missing.is_empty() {
        true => Ok(()),
        false => Err(missing),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::metrics::{Probes, Subject};

    fn posted(age: Duration, proven: &[bool], faults: &[&str]) -> Posted {
        let subject = |(index, proven): (usize, &bool)| Subject {
            name: format!("subject{index}"),
            proven: *proven,
            ..Subject::default()
        };
        Posted {
            status: Arc::new(Status {
                probes: Probes {
                    subjects: proven.iter().enumerate().map(subject).collect(),
                    faults: faults.iter().map(|&fault| fault.to_owned()).collect(),
                    ..Probes::default()
                },
                ..Status::default()
            }),
            age,
        }
    }

    #[test]
    fn a_status_that_is_old_is_no_life() {
        assert!(alive(None).unwrap_err().contains("not attached"));
        assert!(alive(Some(&posted(PATIENCE, &[], &[]))).is_ok());
        let old = posted(PATIENCE + Duration::from_millis(1), &[true], &[]);
        assert_eq!(
            alive(Some(&old)).unwrap_err(),
            "events were processed last 10 s ago"
        );
        assert!(ready(Some(&old)).is_err());
    }

    #[test]
    fn every_subject_must_be_proven_and_no_fault_stand() {
        let now = Duration::ZERO;
        assert!(ready(None).is_err());
        assert_eq!(ready(Some(&posted(now, &[true, true], &[]))), Ok(()));
        for (proven, faults, missing) in [
            (&[][..], &[][..], "no probe is attached"),
            (&[true, false], &[], "not proven yet: subject1"),
            (&[true], &["it was changed"], "it was changed"),
            (
                &[false, false],
                &["a", "b"],
                "a\nb\nnot proven yet: subject0, subject1",
            ),
        ] {
            assert_eq!(
                ready(Some(&posted(now, proven, faults))),
                Err(missing.to_owned())
            );
        }
    }
}
