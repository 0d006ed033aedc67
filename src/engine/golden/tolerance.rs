//! How far from a recording a result may be, by the type in which the engine computes. Knows no network.

use super::reference::Reference;
use crate::device::Element;
use serde_json::Value;

/// Allowed difference of one network in f32, as a share of the largest value.
pub const NETWORK: f64 = 1e-4;
/// Allowed difference of a whole run in f32.
pub const WHOLE: f64 = 1e-3;
/// A half type may be so many times as far from the recorded f32 as the reference's own is.
pub const OWN: f64 = 1.5;

/// What a stage is part of, and how a recording calls that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// A network by itself, with what was recorded.
    Network,
    /// A run whose latents are put right after each step.
    Run,
    /// A run that goes on with what it made itself.
    Alone,
}

impl Of {
    fn name(self) -> &'static str {
        match self {
            Of::Network => "network",
            Of::Run => "run",
            Of::Alone => "alone",
        }
    }
}

/// How far the reference's own run in this type is from the event's result, times [`OWN`]. `None` in f32, which has bounds of
/// its own, and where the recording does not say it.
pub fn of_half(event: &Value, of: Of, element: Element) -> Option<f64> {
    let own = event["halves"][element.suffix()][of.name()].as_f64()?;
    Some(OWN * own)
}

/// Whether the recording says of this type how far the reference itself is from f32 in it.
pub fn knows(reference: &Reference, element: Element) -> bool {
    let told = |case: &Value| {
        let mut events = case["trace"].as_array().into_iter().flatten().filter(|event| event["ev"] != "rng").peekable();
        events.peek().is_some() && events.all(|event| event["halves"][element.suffix()].is_object())
    };
    element == Element::F32 || reference.cases().all(|(_, case)| told(case))
}
