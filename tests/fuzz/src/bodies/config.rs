//! Configuration files, notification templates and moments in time.

use std::collections::BTreeMap;

use siphound::config::{Config, parse_moment};

pub(crate) fn body(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Config::parse(&text) {
        Ok(config) => {
            // What has a name of the operator's choice is not printed.
            let unnamed = Config { systems: Vec::new(), trunks: BTreeMap::new(), watch: BTreeMap::new(), ..config };
            assert_eq!(Config::parse(&unnamed.annotated()).as_ref(), Ok(&unnamed), "what is printed is read alike");
        }
        Err(problems) => {
            let told = problems.to_string();
            assert!(!told.is_empty() && told.len() <= 4_096 + 64 * text.len(), "{} bytes about {}", told.len(), text.len());
        }
    }
    let line = text.lines().next().unwrap_or_default();
    if let Err(problem) = parse_moment(line) {
        assert!(!problem.to_string().is_empty());
    }
}
