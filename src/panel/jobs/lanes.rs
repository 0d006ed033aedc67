//! When jobs start on several engines, each of which takes the next one as soon as it is free. Knows seconds only.

/// Seconds until each engine is free.
#[derive(Clone, Debug)]
pub(super) struct Lanes(Vec<f32>);

impl Lanes {
    /// `busy` are the seconds that are left of what runs; `engines` is how many work. Without any, as if there were one.
    pub(super) fn new(mut busy: Vec<f32>, engines: usize) -> Lanes {
        let count = busy.len().max(engines).max(1);
        busy.resize(count, 0.0);
        Lanes(busy)
    }

    /// Seconds until a job starts that is the next one, and until it is done; it takes so many from its start.
    pub(super) fn take(&mut self, seconds: f32) -> (f32, f32) {
        let first = self.0.iter_mut().min_by(|a, b| a.total_cmp(b)).expect("there is one at least");
        let start = *first;
        *first += seconds;
        (start, *first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_that_is_free_first_takes_the_next_job() {
        let mut one = Lanes::new(vec![5.0], 1);
        assert_eq!([one.take(2.0), one.take(3.0)], [(5.0, 7.0), (7.0, 10.0)]);
        let mut two = Lanes::new(vec![5.0], 2);
        assert_eq!(
            [two.take(2.0), two.take(2.0), two.take(4.0), two.take(1.0)],
            [(0.0, 2.0), (2.0, 4.0), (4.0, 8.0), (5.0, 6.0)]
        );
        assert_eq!(Lanes::new(Vec::new(), 0).take(1.0), (0.0, 1.0), "one comes back");
        assert_eq!(Lanes::new(vec![1.0, 2.0], 1).take(1.0), (1.0, 2.0), "what runs, runs");
    }
}
