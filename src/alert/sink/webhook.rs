//! A webhook: the message as JSON, signed.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::http::{BadSecret, Client, secret};
use super::{Deliver, Receipt, Refusal, Retry};
use crate::alert::message::Message;
use crate::config;

/// Posts messages to one service.
pub(in crate::alert) struct Webhook {
    client: Client,
    url: http::Uri,
    secret: Option<String>,
}

impl Webhook {
    pub(in crate::alert) fn new(config: &config::Webhook) -> Result<Self, BadSecret> {
        let read = |key, path: &Option<std::path::PathBuf>| path.as_deref().map(|path| secret(key, path)).transpose();
        let token = read("notify.webhook.token_file", &config.token_file)?;
        let secret = read("notify.webhook.secret_file", &config.secret_file)?;
        Ok(Self { client: Client::new(crate::alert::duration(config.timeout), token), url: config.url.uri().clone(), secret })
    }
}

impl Deliver for Webhook {
    fn deliver(&mut self, message: &Message) -> Result<Receipt, Refusal> {
        let body = serde_json::to_vec(message).map_err(|error| Refusal { retry: Retry::Never, what: error.to_string() })?;
        let mut headers = vec![("X-Siphound-Id", header_safe(&message.id))];
        if let Some(secret) = &self.secret {
            let timestamp = jiff::Timestamp::now().as_second().to_string();
            headers.push(("X-Siphound-Signature", signature(secret, &timestamp, &body)));
            headers.push(("X-Siphound-Timestamp", timestamp));
        }
        self.client.post(&self.url, &headers, &body).map(|answer| answer.line)
    }
}

/// `sha256=` and the HMAC of the timestamp, a dot and the body: who records a message cannot send it again later.
pub(super) fn signature(secret: &str, timestamp: &str, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

/// The instance is a name that the user chose; what a header cannot hold is left out.
fn header_safe(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic()).collect()
}
