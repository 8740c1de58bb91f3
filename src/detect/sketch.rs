//! A distribution of delays in a fixed amount of memory (DETECTION §13, "What is kept").

use crate::time::Span;

/// Bins an octave.
const STEPS: u32 = 4;
/// Bins: 32 octaves from 1 µs, which end beyond an hour.
const BINS: usize = 32 * STEPS as usize;
/// Samples from which all counts are halved, so that the old fades.
const FULL: u32 = 100_000;

/// Counts of delays by size, in steps of a quarter octave. Quantiles are good to an eighth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sketch {
    bins: [u32; BINS],
    count: u32,
}

impl Default for Sketch {
    fn default() -> Self {
        Self { bins: [0; BINS], count: 0 }
    }
}

impl Sketch {
    /// Adds a delay.
    pub(super) fn add(&mut self, delay: Span) {
        if let Some(bin) = self.bins.get_mut(bin(delay)) {
            *bin += 1;
            self.count += 1;
        }
        self.fade();
    }

    /// Adds the delays of another sketch.
    pub(super) fn merge(&mut self, other: &Self) {
        for (bin, more) in self.bins.iter_mut().zip(other.bins) {
            *bin += more;
        }
        self.count += other.count;
        self.fade();
    }

    /// How many delays there are, less those that faded.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The median: the middle of the bin that holds it.
    pub(super) fn median(&self) -> Option<Span> {
        let mut below = 0;
        let half = self.count.div_ceil(2).max(1);
        let bin = self.bins.iter().position(|&count| {
            below += count;
            below >= half
        })?;
        let (octave, step) = (bin as u32 / STEPS, bin as u32 % STEPS);
        let micros = (1_u64 << octave) * u64::from(2 * (STEPS + step) + 1) / u64::from(2 * STEPS);
        Some(Span::from_micros(micros as i64))
    }

    fn fade(&mut self) {
        if self.count > FULL {
            self.bins.iter_mut().for_each(|bin| *bin /= 2);
            self.count = self.bins.iter().sum();
        }
    }
}

fn bin(delay: Span) -> usize {
    let micros = (delay.as_nanos() / 1000).clamp(1, i64::from(u32::MAX)) as u64;
    let octave = micros.ilog2();
    let step = ((micros * u64::from(STEPS)) >> octave) as u32 - STEPS;
    (octave * STEPS + step) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(millis: impl IntoIterator<Item = i64>) -> Sketch {
        let mut sketch = Sketch::default();
        millis.into_iter().for_each(|millis| sketch.add(Span::from_millis(millis)));
        sketch
    }

    #[test]
    fn the_median_is_good_to_an_eighth() {
        for truth in [1, 5, 15, 90, 200, 1800, 32_000] {
            let median = sketch([truth, truth, truth]).median().expect("there are samples").as_secs_f64() * 1000.0;
            assert!((median / truth as f64 - 1.0).abs() <= 0.125, "{truth} ms came out as {median} ms");
        }
    }

    #[test]
    fn the_median_ignores_what_is_rare() {
        let median = sketch((0..99).map(|n| if n % 3 == 0 { 5000 } else { 10 })).median().expect("there are samples");
        assert!(median < Span::from_millis(12));
        assert_eq!(Sketch::default().median(), None);
    }

    #[test]
    fn the_old_fades() {
        let mut sketch = Sketch::default();
        (0..FULL + 1).for_each(|_| sketch.add(Span::from_millis(1)));
        assert!(sketch.count() < FULL);
        (0..FULL).for_each(|_| sketch.add(Span::from_millis(500)));
        assert!(sketch.median().is_some_and(|median| median > Span::from_millis(400)));
    }
}
