//! Puts what is logged into the panel's ring of lines, for the page that shows it. Knows no page and no file.

use panel::logs::{Level, Ring};
use std::fmt::{Debug, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer};

/// A layer of `tracing` that fills a ring.
pub(crate) struct ToRing(pub(crate) Ring);

impl<S: tracing::Subscriber> Layer<S> for ToRing {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE => Level::Trace,
        };
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        let text = line.text();
        match &line.service {
            // A child's words carry its name, and of Easel's own children their level.
            Some(service) => {
                let (level, text) = its_own_level(&text).unwrap_or((level, &text));
                self.0.push(at, level, service, text);
            }
            // Everything else is told apart by the crate that says it.
            None => self.0.push(at, level, event.metadata().target().split("::").next().unwrap_or_default(), &text),
        }
    }
}

/// The level that a line begins with, as `tracing` writes it, and the rest of the line.
fn its_own_level(text: &str) -> Option<(Level, &str)> {
    let (word, rest) = text.trim_start().split_once(' ')?;
    let level = Level::parse(&word.to_ascii_lowercase()).filter(|_| word.bytes().all(|b| b.is_ascii_uppercase()))?;
    Some((level, rest.trim_start()))
}

/// An event's fields as one line: the message, then the others.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
    service: Option<String>,
}

impl Line {
    fn text(&self) -> String {
        match (self.message.is_empty(), self.fields.is_empty()) {
            (false, false) => format!("{} {}", self.message, self.fields),
            (false, true) => self.message.clone(),
            _ => self.fields.clone(),
        }
    }

    fn field(&mut self, name: &str, value: std::fmt::Arguments<'_>) {
        let space = if self.fields.is_empty() { "" } else { " " };
        let _ = write!(self.fields, "{space}{name}={value}");
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            "service" => self.service = Some(value.to_owned()),
            name => self.field(name, format_args!("{value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => {
                let _ = write!(self.message, "{value:?}");
            }
            name => self.field(name, format_args!("{value:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use panel::logs::Filter;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[test]
    fn events_become_lines_with_their_service_and_without_secrets() {
        let ring = Ring::default();
        let subscriber = tracing_subscriber::registry().with(ToRing(ring.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(service = "engine", " WARN loading {}", "a model");
            tracing::warn!(path = "/studio", status = 503, "request");
            tracing::error!(service = "jupyter", "http://127.0.0.1/?token=canary");
        });
        let lines = ring.after(0, &Filter::default(), 10).lines;
        let seen: Vec<_> = lines.iter().map(|l| (l.level, l.service.as_str(), l.text.as_str())).collect();
        assert_eq!(
            seen,
            [
                (Level::Warn, "engine", "loading a model"),
                (Level::Warn, "easel", "request path=/studio status=503"),
                (Level::Error, "jupyter", "http://127.0.0.1/?token=•••"),
            ]
        );
    }
}
