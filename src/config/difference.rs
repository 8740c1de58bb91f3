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
        let mut keys = Vec::new();
        note(&mut keys, &self.capture, &other.capture);
        note(&mut keys, &self.pbx, &other.pbx);
        if self.trunks != other.trunks {
            keys.push("trunks".to_owned());
        }
        note(&mut keys, &self.metrics, &other.metrics);
        note(&mut keys, &self.api, &other.api);
        note(&mut keys, &self.privacy, &other.privacy);
        note(&mut keys, &self.history, &other.history);
        note(&mut keys, &self.traces, &other.traces);
        note(&mut keys, &self.log, &other.log);
        note(&mut keys, &self.limits, &other.limits);
        note(&mut keys, &self.thresholds, &other.thresholds);
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
        let other = read("[capture]\nports = [5070]\n[limits]\ncalls = 100\n[log]\nlevel = \"debug\"\n");
        assert_eq!(one.differing_keys(&other), ["capture.ports", "trunks", "log.level"]);
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

    /// A section that is forgotten here would be changed in silence.
    #[test]
    fn each_section_is_compared() {
        let all = Config::default().annotated();
        for section in all.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']')).filter(|name| *name != "notify") {
            let source = include_str!("difference.rs");
            assert!(source.contains(&format!("self.{section}")), "{section} is not compared");
        }
    }
}
