//! What the daemon serves where, and to whom.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::exit::{Exit, Failure};
use crate::config::Config;
use crate::http::{Access, Peers, ServerTls, Serving, TlsError, Token};

/// The servers that `config` asks for.
pub(super) fn servings(config: &Config) -> Result<Vec<Serving>, Failure> {
    let api = &config.api;
    let token = Some(&api.token_file).filter(|path| !path.is_empty()).map(|path| token(Path::new(path))).transpose()?;
    let Some(address) = api.listen else {
        let access = Access { peers: Peers::ThisHost, token };
        return Ok(vec![Serving { address: config.metrics.listen, api: Some(access), tls: None }]);
    };
    let certificate = Some(&api.tls_certificate).filter(|path| !path.is_empty());
    let tls = certificate.map(|path| ServerTls::load(path.as_ref(), api.tls_key.as_ref())).transpose()?;
    let exposed = !address.ip().is_loopback();
    if exposed && tls.is_none() {
        tracing::warn!(%address, "The API crosses the network in the clear, its token too; api.tls_certificate and api.tls_key hide both");
    }
    let peers = if exposed { Peers::Anyone } else { Peers::ThisHost };
    let metrics = Serving { address: config.metrics.listen, api: None, tls: None };
    Ok(vec![metrics, Serving { address, api: Some(Access { peers, token }), tls }])
}

/// Reads the file of a token, which others may not.
pub(super) fn token(path: &Path) -> Result<Token, Failure> {
    let unusable = |what: String| Failure::new(Exit::Usage, format_args!("the token in {}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    let mode = std::fs::metadata(path).map_err(|error| unusable(error.to_string()))?.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(unusable("everybody on this host may read it".to_owned()).with_remedy(format_args!("chmod o= {}", path.display())));
    }
    Token::new(&text).ok_or_else(|| {
        unusable(format!("at least {} characters are wanted, without blanks", Token::SHORTEST)).with_remedy("openssl rand -hex 32")
    })
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        Self::new(Exit::Usage, error)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};

    use super::*;

    #[test]
    fn a_token_that_everybody_may_read_or_guess_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        write(&file, "correct-horse-battery\n").expect("a file");
        set_permissions(&file, Permissions::from_mode(0o640)).expect("the mode");
        assert_eq!(token(&file).ok(), Token::new("correct-horse-battery"));
        set_permissions(&file, Permissions::from_mode(0o644)).expect("the mode");
        let refused = token(&file).expect_err("readable").to_string();
        assert!(refused.contains("chmod o="), "{refused}");
        write(&file, "short").expect("a file");
        set_permissions(&file, Permissions::from_mode(0o600)).expect("the mode");
        let refused = token(&file).expect_err("too short").to_string();
        assert!(refused.contains("16 characters") && !refused.contains("short\n"), "{refused}");
        assert!(token(&folder.path().join("none")).is_err());
    }

    #[test]
    fn without_an_address_of_its_own_the_api_is_for_this_host() {
        let one = servings(&Config::default()).expect("valid");
        let [Serving { address, api: Some(Access { peers: Peers::ThisHost, token: None }), tls: None }] = one.as_slice() else {
            panic!("{one:?}")
        };
        assert_eq!(*address, Config::default().metrics.listen);
    }

    #[test]
    fn with_one_the_metrics_stay_without_it() {
        let config = Config::parse("[metrics]\nlisten = \"0.0.0.0:15060\"\nallow_remote = true\n[api]\nlisten = \"127.0.0.1:15061\"\n");
        let two = servings(&config.expect("valid")).expect("valid");
        assert!(matches!(two.as_slice(), [Serving { api: None, .. }, Serving { api: Some(_), .. }]), "{two:?}");
    }
}
