//! Cases of the conformance suite about what operators decide.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tollbridge::staging::{AuditFilter, Decision, Staging, StagingError, Tuned};

fn decision(seen: u64, changes: &[(&str, Option<&str>)]) -> Decision {
    let owned = |(name, value): &(&str, Option<&str>)| ((*name).to_owned(), value.map(str::to_owned));
    Decision {
        subject: "gates/erp".to_owned(),
        action: "set",
        author: "anna".to_owned(),
        reason: "month end".to_owned(),
        expires_at: None,
        changes: changes.iter().map(owned).collect(),
        seen,
        before: "{\"max_in_flight\":4}".to_owned(),
        after: "{\"max_in_flight\":8}".to_owned(),
    }
}

fn newest(limit: usize) -> AuditFilter {
    AuditFilter { limit, ..AuditFilter::default() }
}

fn names(tuned: &Tuned) -> Vec<(&str, &str)> {
    tuned.overrides.iter().map(|set| (set.name.as_str(), set.value.as_str())).collect()
}

pub(super) async fn a_decision_and_its_audit_are_one(staging: Arc<dyn Staging>) {
    assert_eq!(staging.tuned("gates/erp").await.unwrap(), Tuned::default());
    let before = Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap();
    let end = before + SignedDuration::from_hours(2);
    let first =
        Decision { expires_at: Some(end), ..decision(0, &[("max_in_flight", Some("8")), ("queue", Some("9"))]) };
    let entry = staging.decide(&first).await.unwrap();
    let text = [&entry.author, &entry.action, &entry.subject, &entry.reason, &entry.before, &entry.after];
    let said = ["anna", "set", "gates/erp", "month end", "{\"max_in_flight\":4}", "{\"max_in_flight\":8}"];
    assert_eq!((text.map(String::as_str), entry.expires_at), (said, Some(end)));
    assert!(entry.at >= before && entry.at <= Timestamp::now());

    let tuned = staging.tuned("gates/erp").await.unwrap();
    assert_eq!((tuned.revision, names(&tuned)), (entry.id, vec![("max_in_flight", "8"), ("queue", "9")]));
    let set = &tuned.overrides[0];
    assert_eq!((set.author.as_str(), set.reason.as_str(), set.since), ("anna", "month end", entry.at));
    assert_eq!((set.expires_at, set.is_over(before), set.is_over(end)), (Some(end), false, true));
    assert_eq!(staging.tuned("gates/nav").await.unwrap(), Tuned::default());

    // A later decision replaces what it names, takes away what it says, and leaves the rest.
    let second = Decision { reason: "calmer".to_owned(), ..decision(entry.id, &[("max_in_flight", Some("6"))]) };
    let second = staging.decide(&second).await.unwrap();
    let tuned = staging.tuned("gates/erp").await.unwrap();
    assert_eq!(names(&tuned), [("max_in_flight", "6"), ("queue", "9")]);
    assert_eq!((tuned.overrides[0].reason.as_str(), tuned.overrides[0].expires_at), ("calmer", None));
    assert_eq!((tuned.overrides[1].reason.as_str(), tuned.overrides[1].expires_at), ("month end", Some(end)));
    let third = staging.decide(&decision(second.id, &[("max_in_flight", None), ("no_such", None)])).await.unwrap();
    assert_eq!(names(&staging.tuned("gates/erp").await.unwrap()), [("queue", "9")]);
    assert_eq!(staging.audit(&newest(2)).await.unwrap(), [third, second]);
}

pub(super) async fn a_decision_on_top_of_another_is_refused(staging: Arc<dyn Staging>) {
    let first = staging.decide(&decision(0, &[("queue", Some("1"))])).await.unwrap();
    let refused = staging.decide(&decision(0, &[("queue", Some("2"))])).await.unwrap_err();
    let is_said = |error: &StagingError| matches!(error, StagingError::Overtaken { subject, revision } if subject == "gates/erp" && *revision == first.id);
    assert!(is_said(&refused), "{refused}");
    assert!(is_said(&staging.decide(&decision(first.id + 1, &[])).await.unwrap_err()));
    assert_eq!(names(&staging.tuned("gates/erp").await.unwrap()), [("queue", "1")]);
    assert_eq!(staging.audit(&newest(9)).await.unwrap().len(), 1);
    // Other subjects have revisions of their own.
    let other = Decision { subject: "gates/nav".to_owned(), ..decision(0, &[("queue", Some("3"))]) };
    staging.decide(&other).await.unwrap();
    staging.decide(&decision(first.id, &[("queue", Some("4"))])).await.unwrap();
}

pub(super) async fn the_audit_is_paged_from_the_newest(staging: Arc<dyn Staging>) {
    let mut made = Vec::new();
    for number in 0..5u64 {
        let subject = if number == 2 { "gates/nav" } else { "gates/erp" };
        let seen = staging.tuned(subject).await.unwrap().revision;
        let next = Decision { subject: subject.to_owned(), reason: number.to_string(), ..decision(seen, &[]) };
        made.push(staging.decide(&next).await.unwrap());
    }
    made.reverse();
    let first = staging.audit(&newest(2)).await.unwrap();
    assert_eq!(first, made[..2]);
    let rest = AuditFilter { before: Some(first[1].id), ..newest(9) };
    assert_eq!(staging.audit(&rest).await.unwrap(), made[2..]);
    let of_erp = AuditFilter { subject: Some("gates/erp".to_owned()), ..newest(9) };
    let reasons: Vec<_> = staging.audit(&of_erp).await.unwrap().into_iter().map(|entry| entry.reason).collect();
    assert_eq!(reasons, ["4", "3", "1", "0"]);
    assert!(staging.audit(&AuditFilter { before: Some(0), ..newest(9) }).await.unwrap().is_empty());
}
