//! What holds in whatever order findings are raised and cleared.

use proptest::prelude::*;

use super::*;

const IDS: [FindingId; 9] = [
    NatBindingTimeout,
    StaleBindingTarget,
    RegistrationExpired,
    AuthFailedLoop,
    RegistrationRejected,
    PeerUnreachable,
    CalleeNoResponse,
    NatRebind,
    PbxNotResponding,
];

/// Raise, clear or let time pass: which finding, about whom, how sure, how much later.
fn step() -> impl Strategy<Value = (u8, FindingId, bool, Confidence, i64)> {
    let confidence = prop::sample::select(Confidence::ALL);
    (0..4_u8, prop::sample::select(&IDS[..]), any::<bool>(), confidence, 0..200_i64)
}

fn play(steps: &[(u8, FindingId, bool, Confidence, i64)], check: impl Fn(&FindingStore)) {
    let mut store = watched(Limits { open: 6, ended: 6 });
    let mut second = 0;
    for &(action, id, first, confidence, later) in steps {
        second += later;
        let user = aor(if first { ALICE } else { BOB });
        let subject = if id == PbxNotResponding { pbx(10) } else { user };
        match action {
            0 => store.advance(at(second)),
            1 => drop(store.clear(id, &subject, at(second))),
            _ => store.raise(seen(id, subject, second - later).confidence(confidence), at(second)),
        }
        check(&store);
    }
}

proptest! {
    #[test]
    fn no_symptom_is_listed_beside_its_cause_and_every_table_agrees(steps in prop::collection::vec(step(), 1..60)) {
        play(&steps, |store| {
            let all = store.all();
            for cause in &all {
                let beside = all.iter().find(|symptom| is_cause(cause, symptom));
                assert!(beside.is_none(), "{beside:?} beside {cause:?}");
            }
            let open = store.open().count();
            assert_eq!((store.open.len(), store.ended.len()), (open, all.len() - open));
            assert!(open <= 6 && all.len() <= 12);
            for finding in store.open() {
                assert_eq!(store.get(finding.id, &finding.subject).map(|found| found.at), Some(finding.at));
            }
            assert_eq!(store.index.is_empty(), all.is_empty());
        });
    }
}
