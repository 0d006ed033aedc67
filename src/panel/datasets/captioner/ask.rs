//! Asks a vision model over HTTP: public addresses only unless the configuration says otherwise, answers read to a limit,
//! the key in a header and nowhere else. Knows no dataset.

use super::{
    policy::Trouble,
    protocol::{read, request},
    settings::Vision,
};
use crate::{
    addresses::{is_refusal, public_only},
    outgoing::client,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{
    Client, Response, Url,
    header::{HeaderMap, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use std::time::Duration;

/// A model may think so long about one picture.
const PATIENCE: Duration = Duration::from_secs(180);
/// A server that takes no connection for so long is none.
const CONNECT: Duration = Duration::from_secs(15);
/// Largest answer that is read.
const MAX_ANSWER: usize = 1 << 20;
/// Longest side of a picture that is shown to a model: the services scale larger ones down themselves.
const SIDE: u32 = 1_024;

/// The file that a model is shown: a JPEG of at most 1024 pixels a side, which every server reads.
///
/// # Errors
/// A sentence, where the picture cannot be read any more.
pub(super) fn to_show(file: &[u8]) -> Result<Vec<u8>, String> {
    let pixels = media::decode::rgb(file).map_err(|e| e.to_string())?;
    media::encode::jpeg(&media::resize::within(&pixels, SIDE)).map_err(|e| e.to_string())
}

/// A model that can be asked.
#[derive(Debug)]
pub(super) struct Asker {
    client: Client,
    vision: Vision,
    instruction: String,
}

impl Asker {
    /// An asker of this model.
    ///
    /// # Errors
    /// A sentence, where its address may not be asked or the client cannot be made.
    pub(super) fn new(vision: Vision, instruction: String, private: bool) -> Result<Asker, String> {
        let url = Url::parse(&vision.base_url).map_err(|e| format!("The vision model's address cannot be read: {e}."))?;
        let client = client().timeout(PATIENCE).connect_timeout(CONNECT).no_proxy();
        let client = if private {
            client
        } else {
            public_only(client, &url).map_err(|e| format!("The vision model is not asked: {e}."))?
        };
        // A redirect would carry the picture elsewhere, and no such service sends one.
        let client = client.redirect(Policy::none()).build().map_err(|e| format!("No client can be made: {e}."))?;
        Ok(Asker { client, vision, instruction })
    }

    /// The model's name.
    pub(super) fn model(&self) -> &str {
        &self.vision.model
    }

    /// Asks for the caption of one JPEG.
    ///
    /// # Errors
    /// [`Trouble`], in words that hold neither the key nor the picture.
    pub(super) async fn ask(&self, jpeg: &[u8]) -> Result<String, Trouble> {
        let question = request(&self.vision, &self.instruction, &STANDARD.encode(jpeg));
        let mut sending = self.client.post(&question.url).json(&question.body);
        for (name, value) in question.headers {
            sending = sending.header(name, value);
        }
        if !self.vision.key.expose().is_empty() {
            let (name, before) = question.key;
            let value = HeaderValue::from_str(&format!("{before}{}", self.vision.key.expose()));
            let mut value = value.map_err(|_| Trouble::Service("The key cannot be sent.".into()))?;
            value.set_sensitive(true);
            sending = sending.header(name, value);
        }
        let answer = sending.send().await.map_err(|e| failed(&e))?;
        let (status, after) = (answer.status().as_u16(), retry_after(answer.headers()));
        if answer.status().is_redirection() {
            return Err(Trouble::Service(format!("It sends us elsewhere ({status}). Check the address.")));
        }
        let body = body_of(answer).await?;
        read(&self.vision, status, after, &body)
    }
}

async fn body_of(mut answer: Response) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|e| failed(&e))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Trouble::Service("Its answer is longer than any caption. Check the address.".into()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Seconds, or a date: both are allowed.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(date - jiff::Timestamp::now()).unwrap_or_default())
}

/// Why there was no answer. The address is left out: it is an admin's business.
fn failed(e: &reqwest::Error) -> Trouble {
    if is_refusal(e) {
        let words = "Its address leads into a private network; private_downloads in easel.toml allows that.";
        return Trouble::Service(words.into());
    }
    let why = match e {
        e if e.is_timeout() => "it takes too long",
        e if e.is_connect() => "there is no connection to it",
        _ => "the connection broke off",
    };
    Trouble::Silent(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_read_as_seconds_and_as_dates() {
        let after = |text: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).unwrap())]));
        assert_eq!(after("12"), Some(Duration::from_secs(12)));
        assert_eq!(after("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(after("Wed, 21 Oct 2099 07:28:00 GMT").unwrap() > Duration::from_secs(1 << 30));
        for wrong in ["soon", "-1", "1e400", ""] {
            assert_eq!(after(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_address_of_this_machine_is_asked() {
        let vision = |base_url: &str| Vision {
            protocol: super::super::Protocol::OpenAi,
            base_url: base_url.into(),
            model: "m".into(),
            key: crate::secrets::Secret::new("k"),
        };
        for url in ["http://127.0.0.1:1/v1", "http://169.254.169.254", "http://[::1]/", "http://0x7f000001/"] {
            let refused = Asker::new(vision(url), "x".into(), false).unwrap_err();
            assert!(refused.contains("private network"), "{url}: {refused}");
            assert!(Asker::new(vision(url), "x".into(), true).is_ok());
        }
    }
}
