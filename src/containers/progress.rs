//! A pull as one figure: an engine tells of each layer by itself. Pure.

use std::collections::BTreeMap;

/// Most layers that are told apart; an image may have 127.
const LAYERS_MAX: usize = 1000;

/// How far a pull is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Bytes that have come, of layers as they are sent.
    pub received: u64,
    /// Bytes of the layers whose size is known by now.
    pub known: u64,
    /// Layers that are there whole.
    pub done: usize,
    /// Layers.
    pub layers: usize,
    /// 0 to 1; never goes back. Half of a layer's share is receiving it, half is unpacking it.
    pub fraction: f64,
}

/// One layer.
#[derive(Clone, Copy, Debug, Default)]
struct Layer {
    size: u64,
    received: u64,
    unpacked: u64,
    done: bool,
}

/// Layers of a pull, as they are told of.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    layers: BTreeMap<String, Layer>,
    furthest: f64,
}

impl Layers {
    /// Takes one line of an engine: the layer's id, its status, bytes and their total.
    pub fn hear(&mut self, id: &str, status: &str, current: Option<i64>, total: Option<i64>) {
        let known = self.layers.contains_key(id);
        // Other lines carry the tag in place of a layer's id.
        let is_layer = matches!(status, "Pulling fs layer" | "Waiting" | "Already exists" | "Downloading");
        if !known && (!is_layer || self.layers.len() >= LAYERS_MAX) {
            return;
        }
        let layer = self.layers.entry(id.to_owned()).or_default();
        let at_least_0 = |number: Option<i64>| number.and_then(|n| u64::try_from(n).ok());
        if let Some(size) = at_least_0(total).filter(|size| *size > 0) {
            layer.size = size;
        }
        let bytes = at_least_0(current).unwrap_or_default();
        match status {
            "Downloading" => layer.received = bytes,
            "Verifying Checksum" | "Download complete" => layer.received = layer.size,
            "Extracting" => (layer.received, layer.unpacked) = (layer.size, bytes.min(layer.size)),
            "Pull complete" | "Already exists" => {
                (layer.received, layer.unpacked, layer.done) = (layer.size, layer.size, true);
            }
            // "Retrying in 5 seconds": it comes from its beginning again.
            text if text.starts_with("Retrying") => layer.received = 0,
            _ => {}
        }
    }

    /// The image is here, whatever was told of its layers.
    pub fn all_done(&mut self) -> Progress {
        for layer in self.layers.values_mut() {
            (layer.received, layer.unpacked, layer.done) = (layer.size, layer.size, true);
        }
        Progress { fraction: 1.0, ..self.progress() }
    }

    /// How far it is.
    pub fn progress(&mut self) -> Progress {
        let all = self.layers.values();
        let sum = |of: fn(&Layer) -> u64| all.clone().map(of).fold(0, u64::saturating_add);
        let (received, known) = (sum(|l| l.received), sum(|l| l.size));
        let (layers, done) = (self.layers.len(), all.clone().filter(|l| l.done).count());
        let waits = all.clone().any(|l| l.size == 0 && !l.done);
        let share = |part: u64, of: u64| if of == 0 { 0.0 } else { part as f64 / of as f64 };
        let fraction = if waits {
            // Sizes are told one after the other; until all are known, layers count alike.
            let of = |l: &Layer| if l.done { 1.0 } else { (share(l.received, l.size) + share(l.unpacked, l.size)) / 2.0 };
            all.map(of).sum::<f64>() / layers.max(1) as f64
        } else if known > 0 {
            (share(received, known) + share(sum(|l| l.unpacked), known)) / 2.0
        } else {
            share(done as u64, layers as u64)
        };
        self.furthest = self.furthest.max(fraction.clamp(0.0, 1.0));
        Progress { received, known, done, layers, fraction: self.furthest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_add_up_to_one_figure_that_never_goes_back() {
        let mut layers = Layers::default();
        let mut last = 0.0;
        let mut hear = |id: &str, status: &str, current, total| {
            layers.hear(id, status, current, total);
            let now = layers.progress();
            assert!(now.fraction >= last && now.fraction <= 1.0, "{now:?} after {last}");
            last = now.fraction;
            now
        };
        hear("1.2", "Pulling from owner/tool", None, None);
        hear("a", "Pulling fs layer", None, None);
        hear("b", "Pulling fs layer", None, None);
        assert_eq!(hear("c", "Already exists", None, None).layers, 3);
        let half = hear("a", "Downloading", Some(50), Some(100));
        assert_eq!((half.received, half.known, half.done), (50, 100, 1));
        hear("b", "Downloading", Some(0), Some(900));
        hear("a", "Download complete", None, None);
        hear("a", "Extracting", Some(100), Some(100));
        hear("a", "Pull complete", None, None);
        hear("b", "Retrying in 5 seconds", None, None);
        hear("b", "Downloading", Some(900), Some(900));
        hear("b", "Verifying Checksum", None, None);
        let end = hear("b", "Pull complete", None, None);
        assert_eq!((end.received, end.known, end.done, end.fraction), (1000, 1000, 3, 1.0));
    }

    #[test]
    fn nonsense_of_an_engine_does_no_harm() {
        let mut layers = Layers::default();
        layers.hear("a", "Downloading", Some(-5), Some(-1));
        layers.hear("b", "Downloading", Some(i64::MAX), Some(1));
        layers.hear("c", "Downloading", Some(i64::MAX), Some(i64::MAX));
        for i in 0..5000 {
            layers.hear(&i.to_string(), "Waiting", None, None);
        }
        let told = layers.progress();
        assert!(told.layers <= LAYERS_MAX && told.fraction <= 1.0, "{told:?}");
        assert_eq!(Layers::default().progress(), Progress::default());
    }
}
