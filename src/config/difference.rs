//! In what two configurations differ.

use super::Config;
use super::section::Section;

impl Config {
    /// Whether the same people are told of the same things in the same way.
    pub fn notifies_as(&self, other: &Self) -> bool {
        (&self.notify, &self.alertmanagers, &self.webhooks, &self.commands)
            == (&other.notify, &other.alertmanagers, &other.webhooks, &other.commands)
    }

    /// The keys in which `other` differs, as `section.key`, but for those of notifications.
    pub fn differing_keys(&self, other: &Self) -> Vec<String> {
        // All of them are named, since one that is forgotten here would be changed in silence.
        let Self {
            capture,
            pbx,
            systems,
            trunks,
            watch,
            metrics,
            history,
            traces,
            api,
            privacy,
            log,
            notify: _,
            alertmanagers: _,
            webhooks: _,
            commands: _,
            limits,
            thresholds,
        } = self;
        let mut keys = Vec::new();
        note(&mut keys, capture, &other.capture);
        note(&mut keys, pbx, &other.pbx);
        let tables = [("pbx", *systems == other.systems), ("trunks", *trunks == other.trunks), ("watch", *watch == other.watch)];
        keys.extend(tables.into_iter().filter(|(_, same)| !same).map(|(name, _)| name.to_owned()));
        note(&mut keys, metrics, &other.metrics);
        note(&mut keys, api, &other.api);
        note(&mut keys, privacy, &other.privacy);
        note(&mut keys, history, &other.history);
        note(&mut keys, traces, &other.traces);
        note(&mut keys, log, &other.log);
        note(&mut keys, limits, &other.limits);
        note(&mut keys, thresholds, &other.thresholds);
        keys
    }
}

fn note<S: Section>(keys: &mut Vec<String>, one: &S, other: &S) {
    let pairs = one.entries().into_iter().zip(other.entries());
    keys.extend(pairs.filter(|(one, other)| one.value != other.value).map(|(one, _)| format!("{}.{}", S::NAME, one.key)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Config {
        Config::parse(text).expect("valid")
    }

    #[test]
    fn the_keys_that_differ_are_named_with_their_section() {
        let one = read("[capture]\nports = [5060]\n[limits]\ncalls = 100\n[trunks]\na = [\"192.0.2.1\"]\n");
        let other = read("[capture]\nports = [5070]\n[limits]\ncalls = 100\n[log]\nlevel = \"debug\"\n[watch]\ndesk = [\"1001\"]\n");
        assert_eq!(one.differing_keys(&other), ["capture.ports", "trunks", "watch", "log.level"]);
        let several = read("[[pbx]]\nname = \"a\"\naddresses = [\"192.0.2.1\"]\n[capture]\nports = [5060]\n[limits]\ncalls = 100\n");
        assert_eq!(one.differing_keys(&several), ["pbx", "trunks"]);
        assert_eq!(one.differing_keys(&one.clone()), [""; 0]);
    }

    #[test]
    fn who_is_told_is_a_matter_of_its_own() {
        let (none, watching) = (read(""), read("[notify]\nwatch = [\"1001\"]\n"));
        let sink = read("[[notify.webhook]]\nname = \"chat\"\nurl = \"http://127.0.0.1\"\n");
        for other in [&watching, &sink] {
            assert!(!none.notifies_as(other) && none.notifies_as(&none.clone()));
            assert_eq!(none.differing_keys(other), [""; 0]);
        }
    }
}
